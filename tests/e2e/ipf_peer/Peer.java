import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Association;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssociationType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AvailabilityStatus;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Code;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntry;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntryType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Folder;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Identifiable;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.ObjectReference;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.SubmissionSet;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Version;
import org.openehealth.ipf.commons.ihe.xds.core.requests.DocumentReference;
import org.openehealth.ipf.commons.ihe.xds.core.requests.ProvideAndRegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.QueryRegistry;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RemoveDocuments;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RemoveMetadata;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveImagingDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveSeries;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveStudy;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindDocumentsByReferenceIdQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindDocumentsForMultiplePatientsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindDocumentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindFoldersQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindSubmissionSetsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetAllQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetDocumentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetFolderAndContentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetRelatedDocumentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetSubmissionSetAndContentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.Query;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.QueryList;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.QueryReturnType;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.StoredQuery;
import org.openehealth.ipf.commons.ihe.xds.core.responses.ErrorCode;
import org.openehealth.ipf.commons.ihe.xds.core.responses.QueryResponse;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Response;
import org.openehealth.ipf.commons.ihe.xds.core.responses.RetrievedDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Status;

/** A source, a consumer, an administrator and a gateway in turn; one line for each step that ended as it should.
 *
 *  Arguments: host and port, community OID, patient (CX), and an image there: study, series, instance, transfer syntax.
 */
public final class Peer {
    private static final int LARGE = 3_000_000;

    private final Client client;
    private final String home;
    private final String repository;
    private final Identifiable patient;
    private final String[] image;
    private final Submissions submissions;
    private final List<DocumentEntry> entries = new ArrayList<>();
    private final List<byte[]> contents = new ArrayList<>();
    private SubmissionSet submission;
    private Folder folder;
    private RegisterDocumentSet registered;

    private Peer(Client client, String community, Identifiable patient, String[] image) {
        this.client = client;
        this.home = "urn:oid:" + community;
        this.repository = community + ".1";
        this.patient = patient;
        this.image = image;
        this.submissions = new Submissions(patient);
    }

    public static void main(String[] told) {
        try (Client client = new Client(told[0])) {
            Peer peer = new Peer(client, told[1], Identifiable.parse(told[2]), Arrays.copyOfRange(told, 3, 7));
            Steps.step("ITI-41 provides two documents in a folder", peer::provides);
            Steps.step("ITI-18 FindDocuments tells all that was sent", peer::findsAll);
            Steps.step("ITI-18 FindDocuments by reference", peer::findsReferences);
            Steps.step("ITI-18 FindDocumentsByReferenceId", peer::findsByOrder);
            Steps.step("ITI-18 GetDocuments", peer::gets);
            Steps.step("ITI-18 sets, folders, and what they hold", peer::findsGroups);
            Steps.step("ITI-43 retrieves the same bytes", peer::retrieves);
            Steps.step("ITI-42 registers a document of another repository", peer::registers);
            Steps.step("ITI-41 replaces a document", peer::replaces);
            Steps.step("ITI-51 FindDocumentsForMultiplePatients", peer::findsOfMany);
            Steps.step("ITI-38 FindDocuments and GetDocuments across", peer::findsAcross);
            Steps.step("ITI-39 retrieves across", peer::retrievesAcross);
            Steps.step("ITI-61 registers on demand", peer::registersOnDemand);
            Steps.step("ITI-57 deprecates", peer::deprecates);
            Steps.step("refusals carry the standard's codes", peer::isRefused);
            Steps.step("ITI-43 retrieves the manifest of a study", peer::readsManifest);
            Steps.step("RAD-69 retrieves an image", () -> peer.sees(client::images, null));
            Steps.step("RAD-75 retrieves an image across", () -> peer.sees(client::imagesAcross, peer.home));
            Steps.step("ITI-62 and ITI-86 remove", peer::removes);
        }
    }

    private interface Retrieval {
        RetrievedDocumentSet of(Object request);
    }

    private void provides() {
        entries.add(submissions.entry("Befund"));
        entries.add(submissions.entry("Bildserie"));
        contents.add(submissions.content(1_000));
        contents.add(submissions.content(LARGE));
        ProvideAndRegisterDocumentSet request = submissions.of(entries, contents);
        submission = request.getSubmissionSet();
        folder = submissions.folder();
        request.getFolders().add(folder);
        request.getAssociations().add(Submissions.member(submission.getEntryUuid(), folder.getEntryUuid()));
        Association filed = Submissions.member(folder.getEntryUuid(), entries.get(0).getEntryUuid());
        request.getAssociations().add(filed);
        request.getAssociations().add(Submissions.member(submission.getEntryUuid(), filed.getEntryUuid()));
        succeeded(client.provide(request));
    }

    private void findsAll() throws Exception {
        QueryResponse found = asked(findDocuments(new FindDocumentsQuery()), QueryReturnType.LEAF_CLASS);
        for (int i = 0; i < entries.size(); i++) {
            DocumentEntry sent = entries.get(i);
            sent.setHash(Submissions.sha1(contents.get(i)));
            sent.setSize((long) contents.get(i).length);
            sent.setRepositoryUniqueId(repository);
            sent.setHomeCommunityId(home);
            sent.setVersion(new Version("1"));
            Steps.same(sent, one(found, sent.getUniqueId()));
        }
    }

    private void findsReferences() {
        FindDocumentsQuery query = findDocuments(new FindDocumentsQuery());
        query.setClassCodes(List.of(Submissions.code("REPORTS", "1.2.3.100")));
        query.getCreationTime().setFrom("2026");
        query.getCreationTime().setTo("2027");
        query.setAuthorPersons(List.of("%Wei%"));
        List<ObjectReference> found = asked(query, QueryReturnType.OBJECT_REF).getReferences();
        Steps.same(ids(entries), found.stream().map(ObjectReference::getId).sorted().toList());
        Steps.same(List.of(home), found.stream().map(ObjectReference::getHome).distinct().toList());
    }

    private void findsByOrder() {
        FindDocumentsByReferenceIdQuery query = findDocuments(new FindDocumentsByReferenceIdQuery());
        query.setTypedReferenceIds(new QueryList<>(Submissions.order()));
        Steps.same(ids(entries), ids(asked(query, QueryReturnType.LEAF_CLASS).getDocumentEntries()));
    }

    private void gets() {
        GetDocumentsQuery query = new GetDocumentsQuery();
        query.setUniqueIds(entries.stream().map(DocumentEntry::getUniqueId).toList());
        Steps.same(ids(entries), ids(asked(query, QueryReturnType.LEAF_CLASS).getDocumentEntries()));
        query = new GetDocumentsQuery();
        query.setUuids(ids(entries));
        Steps.same(ids(entries), ids(asked(query, QueryReturnType.LEAF_CLASS).getDocumentEntries()));
    }

    private void findsGroups() {
        FindSubmissionSetsQuery sets = new FindSubmissionSetsQuery();
        sets.setPatientId(patient);
        sets.setStatus(List.of(AvailabilityStatus.APPROVED));
        sets.setSourceIds(List.of(submission.getSourceId()));
        SubmissionSet found = asked(sets, QueryReturnType.LEAF_CLASS).getSubmissionSets().get(0);
        submission.setHomeCommunityId(home);
        Steps.same(submission.toString(), found.toString());
        FindFoldersQuery folders = new FindFoldersQuery();
        folders.setPatientId(patient);
        folders.setStatus(List.of(AvailabilityStatus.APPROVED));
        Folder mine = asked(folders, QueryReturnType.LEAF_CLASS).getFolders().get(0);
        Steps.same(folder.getUniqueId(), mine.getUniqueId());
        Steps.check(mine.getLastUpdateTime() != null, "a folder tells when it changed");

        GetSubmissionSetAndContentsQuery whole = new GetSubmissionSetAndContentsQuery();
        whole.setUniqueId(submission.getUniqueId());
        counts(asked(whole, QueryReturnType.LEAF_CLASS), 1, 1, 2, 5);
        GetFolderAndContentsQuery inside = new GetFolderAndContentsQuery();
        inside.setUuid(folder.getEntryUuid());
        counts(asked(inside, QueryReturnType.LEAF_CLASS), 0, 1, 1, 1);
        GetAllQuery all = new GetAllQuery();
        all.setPatientId(patient);
        all.setStatusDocuments(List.of(AvailabilityStatus.APPROVED));
        all.setStatusFolders(List.of(AvailabilityStatus.APPROVED));
        all.setStatusSubmissionSets(List.of(AvailabilityStatus.APPROVED));
        // With the manifest of the study and the set that brought it.
        counts(asked(all, QueryReturnType.LEAF_CLASS), 2, 1, 3, 6);
    }

    private void retrieves() throws Exception {
        RetrieveDocumentSet request = new RetrieveDocumentSet();
        entries.forEach(request::addReferenceTo);
        isContent(client.retrieve(request));
    }

    private void registers() throws Exception {
        DocumentEntry entry = submissions.entry("Anderswo");
        entry.setRepositoryUniqueId("1.2.826.0.1.3680043.9.7777.2");
        entry.setHash(Submissions.sha1(new byte[0]));
        entry.setSize(0L);
        RegisterDocumentSet request = new RegisterDocumentSet();
        request.setSubmissionSet(submissions.submissionSet());
        request.getDocumentEntries().add(entry);
        String set = request.getSubmissionSet().getEntryUuid();
        request.getAssociations().add(Submissions.original(set, entry.getEntryUuid()));
        succeeded(client.register(request));
        registered = request;
        entry.setHomeCommunityId(home);
        entry.setVersion(new Version("1"));
        GetDocumentsQuery query = new GetDocumentsQuery();
        query.setUuids(List.of(entry.getEntryUuid()));
        Steps.same(entry, one(asked(query, QueryReturnType.LEAF_CLASS), entry.getUniqueId()));
    }

    private void replaces() {
        DocumentEntry earlier = entries.get(0);
        DocumentEntry later = submissions.entry("Befund, berichtigt");
        byte[] content = submissions.content(2_000);
        ProvideAndRegisterDocumentSet request = submissions.of(List.of(later), List.of(content));
        request.getAssociations().add(
            Submissions.association(AssociationType.REPLACE, later.getEntryUuid(), earlier.getEntryUuid()));
        succeeded(client.provide(request));
        GetRelatedDocumentsQuery query = new GetRelatedDocumentsQuery();
        query.setUniqueId(earlier.getUniqueId());
        query.setAssociationTypes(List.of(AssociationType.REPLACE));
        QueryResponse found = asked(query, QueryReturnType.LEAF_CLASS);
        Steps.same(AvailabilityStatus.DEPRECATED, one(found, earlier.getUniqueId()).getAvailabilityStatus());
        Steps.same(AvailabilityStatus.APPROVED, one(found, later.getUniqueId()).getAvailabilityStatus());
        Steps.same(1, found.getAssociations().size());
        entries.set(0, one(found, later.getUniqueId()));
        contents.set(0, content);
    }

    private void findsOfMany() {
        FindDocumentsForMultiplePatientsQuery query = new FindDocumentsForMultiplePatientsQuery();
        query.setPatientIds(List.of(patient));
        query.setStatus(List.of(AvailabilityStatus.APPROVED));
        query.setFormatCodes(List.of(entries.get(0).getFormatCode()));
        QueryRegistry request = new QueryRegistry(query, QueryReturnType.LEAF_CLASS);
        Steps.same(3, succeeded(client.queryOfMany(request)).getDocumentEntries().size());
    }

    private void findsAcross() {
        FindDocumentsQuery query = findDocuments(new FindDocumentsQuery());
        QueryResponse found = across(query);
        Steps.same(4, found.getDocumentEntries().size());
        Steps.check(found.getDocumentEntries().stream().allMatch(each -> home.equals(each.getHomeCommunityId())),
            "home");
        GetDocumentsQuery named = new GetDocumentsQuery();
        named.setHomeCommunityId(home);
        named.setUuids(ids(entries));
        Steps.same(ids(entries), ids(across(named).getDocumentEntries()));
    }

    private void retrievesAcross() throws Exception {
        RetrieveDocumentSet request = new RetrieveDocumentSet();
        entries.forEach(request::addReferenceTo);
        Steps.check(request.getDocuments().stream().allMatch(each -> home.equals(each.getHomeCommunityId())), "home");
        isContent(client.retrieveAcross(request));
    }

    private void registersOnDemand() {
        DocumentEntry entry = submissions.entry("Zusammenfassung");
        entry.setType(DocumentEntryType.ON_DEMAND);
        entry.setRepositoryUniqueId("1.2.826.0.1.3680043.9.7777.2");
        entry.setCreationTime((String) null);
        entry.setLegalAuthenticator(null);
        RegisterDocumentSet request = new RegisterDocumentSet();
        request.setSubmissionSet(submissions.submissionSet());
        request.getDocumentEntries().add(entry);
        String set = request.getSubmissionSet().getEntryUuid();
        request.getAssociations().add(Submissions.original(set, entry.getEntryUuid()));
        succeeded(client.registerOnDemand(request));
        FindDocumentsQuery query = findDocuments(new FindDocumentsQuery());
        query.setDocumentEntryTypes(List.of(DocumentEntryType.ON_DEMAND));
        List<DocumentEntry> found = asked(query, QueryReturnType.LEAF_CLASS).getDocumentEntries();
        Steps.same(List.of(entry.getUniqueId()), found.stream().map(DocumentEntry::getUniqueId).toList());
    }

    private void deprecates() {
        DocumentEntry entry = entries.get(0);
        RegisterDocumentSet request = new RegisterDocumentSet();
        request.setSubmissionSet(submissions.submissionSet());
        Association change = Submissions.association(AssociationType.UPDATE_AVAILABILITY_STATUS,
            request.getSubmissionSet().getEntryUuid(), entry.getEntryUuid());
        change.setOriginalStatus(AvailabilityStatus.APPROVED);
        change.setNewStatus(AvailabilityStatus.DEPRECATED);
        request.getAssociations().add(change);
        succeeded(client.update(request));
        GetDocumentsQuery query = new GetDocumentsQuery();
        query.setUuids(List.of(entry.getEntryUuid()));
        DocumentEntry found = one(asked(query, QueryReturnType.LEAF_CLASS), entry.getUniqueId());
        Steps.same(AvailabilityStatus.DEPRECATED, found.getAvailabilityStatus());
    }

    private void isRefused() {
        Submissions stranger = new Submissions(Identifiable.parse("nobody^^^&1.2.3.4&ISO"));
        byte[] content = stranger.content(100);
        DocumentEntry unknown = stranger.entry("Niemand");
        refused(client.provide(stranger.of(List.of(unknown), List.of(content))), ErrorCode.UNKNOWN_PATIENT_ID);
        DocumentEntry broken = submissions.entry("Falsche Summe");
        broken.setHash("0000000000000000000000000000000000000000");
        broken.setSize(100L);
        Response answer = client.provide(submissions.of(List.of(broken), List.of(content)));
        Steps.same(Status.FAILURE, answer.getStatus());
        RetrieveDocumentSet absent = new RetrieveDocumentSet();
        absent.getDocuments().add(new DocumentReference(repository, "1.2.3.4.5", null));
        refused(client.retrieve(absent), ErrorCode.DOCUMENT_UNIQUE_ID_ERROR);
        absent.addReferenceTo(entries.get(1));
        RetrievedDocumentSet half = client.retrieve(absent);
        Steps.same(Status.PARTIAL_SUCCESS, half.getStatus());
        Steps.same(1, half.getDocuments().size());
        GetDocumentsQuery elsewhere = new GetDocumentsQuery();
        elsewhere.setUuids(ids(entries));
        elsewhere.setHomeCommunityId("urn:oid:1.2.3.4");
        QueryResponse nowhere = client.queryAcross(new QueryRegistry(elsewhere, QueryReturnType.LEAF_CLASS));
        refused(nowhere, ErrorCode.UNKNOWN_COMMUNITY);
    }

    private void readsManifest() throws Exception {
        FindDocumentsQuery query = findDocuments(new FindDocumentsQuery());
        query.setFormatCodes(List.of(new Code("1.2.840.10008.5.1.4.1.1.88.59", null, "1.2.840.10008.2.6.1")));
        List<DocumentEntry> found = asked(query, QueryReturnType.LEAF_CLASS).getDocumentEntries();
        Steps.same(1, found.size());
        Steps.check(found.get(0).getReferenceIdList().stream().anyMatch(each -> each.getId().equals(image[0])),
            "study");
        RetrieveDocumentSet request = new RetrieveDocumentSet();
        request.addReferenceTo(found.get(0));
        RetrievedDocumentSet answer = succeeded(client.retrieve(request));
        byte[] manifest = answer.getDocuments().get(0).getDataHandler().getInputStream().readAllBytes();
        Steps.same("DICM", new String(manifest, 128, 4));
        Steps.same(found.get(0).getHash(), Submissions.sha1(manifest));
    }

    private void sees(Retrieval retrieval, String community) throws Exception {
        DocumentReference instance = new DocumentReference(repository.replaceAll("1$", "2"), image[2], community);
        RetrieveImagingDocumentSet request = new RetrieveImagingDocumentSet();
        request.getTransferSyntaxIds().add(image[3]);
        RetrieveSeries series = new RetrieveSeries(image[1], List.of(instance));
        request.getRetrieveStudies().add(new RetrieveStudy(image[0], List.of(series)));
        RetrievedDocumentSet answer = succeeded(retrieval.of(request));
        Steps.same(1, answer.getDocuments().size());
        byte[] bytes = answer.getDocuments().get(0).getDataHandler().getInputStream().readAllBytes();
        Steps.same("DICM", new String(bytes, 128, 4));
        Steps.same("application/dicom", answer.getDocuments().get(0).getMimeType());
    }

    private void removes() {
        DocumentEntry entry = entries.get(0);
        RemoveMetadata metadata = new RemoveMetadata();
        metadata.getReferences().add(new ObjectReference(registered.getSubmissionSet().getEntryUuid()));
        metadata.getReferences().add(new ObjectReference(registered.getDocumentEntries().get(0).getEntryUuid()));
        metadata.getReferences().add(new ObjectReference(registered.getAssociations().get(0).getEntryUuid()));
        succeeded(client.removeMetadata(metadata));
        GetDocumentsQuery query = new GetDocumentsQuery();
        query.setUuids(List.of(registered.getDocumentEntries().get(0).getEntryUuid()));
        Steps.same(0, asked(query, QueryReturnType.LEAF_CLASS).getDocumentEntries().size());
        RemoveDocuments documents = new RemoveDocuments();
        documents.addReferenceTo(entry);
        succeeded(client.removeDocuments(documents));
        RetrieveDocumentSet again = new RetrieveDocumentSet();
        again.addReferenceTo(entry);
        refused(client.retrieve(again), ErrorCode.DOCUMENT_UNIQUE_ID_ERROR);
    }

    private <T extends FindDocumentsQuery> T findDocuments(T query) {
        query.setPatientId(patient);
        query.setStatus(List.of(AvailabilityStatus.APPROVED));
        return query;
    }

    private QueryResponse asked(Query query, QueryReturnType type) {
        return succeeded(client.query(new QueryRegistry(query, type)));
    }

    private QueryResponse across(StoredQuery query) {
        return succeeded(client.queryAcross(new QueryRegistry(query, QueryReturnType.LEAF_CLASS)));
    }

    private void isContent(RetrievedDocumentSet answer) throws Exception {
        succeeded(answer);
        Steps.same(entries.size(), answer.getDocuments().size());
        for (var each : answer.getDocuments()) {
            String unique = each.getRequestData().getDocumentUniqueId();
            int at = entries.stream().map(DocumentEntry::getUniqueId).toList().indexOf(unique);
            byte[] received = each.getDataHandler().getInputStream().readAllBytes();
            Steps.check(Arrays.equals(contents.get(at), received), "other bytes of " + unique);
            Steps.same(entries.get(at).getMimeType(), each.getMimeType());
        }
    }

    private static void counts(QueryResponse found, int sets, int folders, int documents, int associations) {
        List<Integer> expected = List.of(sets, folders, documents, associations);
        Steps.same(expected, List.of(found.getSubmissionSets().size(), found.getFolders().size(),
            found.getDocumentEntries().size(), found.getAssociations().size()));
    }

    private static DocumentEntry one(QueryResponse found, String unique) {
        List<DocumentEntry> those = found.getDocumentEntries().stream()
            .filter(each -> unique.equals(each.getUniqueId())).toList();
        Steps.same(1, those.size());
        return those.get(0);
    }

    private static List<String> ids(List<DocumentEntry> entries) {
        return entries.stream().map(DocumentEntry::getEntryUuid).sorted().toList();
    }

    private static <T extends Response> T succeeded(T answer) {
        Steps.check(answer.getStatus() == Status.SUCCESS && answer.getErrors().isEmpty(), answer.toString());
        return answer;
    }

    private static void refused(Response answer, ErrorCode code) {
        Steps.same(Status.FAILURE, answer.getStatus());
        Steps.same(List.of(code), answer.getErrors().stream().map(each -> each.getErrorCode()).distinct().toList());
    }
}
