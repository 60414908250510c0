import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.parser.IParser;
import ca.uhn.fhir.parser.StrictErrorHandler;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.api.ServerValidationModeEnum;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.hl7.fhir.r4.model.Binary;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CodeableConcept;
import org.hl7.fhir.r4.model.Coding;
import org.hl7.fhir.r4.model.DocumentReference;
import org.hl7.fhir.r4.model.Enumerations.DocumentReferenceStatus;
import org.hl7.fhir.r4.model.ListResource;
import org.hl7.fhir.r4.model.OperationOutcome.IssueSeverity;
import org.hl7.fhir.r4.model.OperationOutcome;
import org.hl7.fhir.r4.model.Patient;
import org.hl7.fhir.r4.model.Practitioner;
import org.hl7.fhir.r4.model.Reference;
import org.hl7.fhir.r4.model.Resource;
import org.ietf.jgss.Oid;
import org.openehealth.ipf.commons.ihe.fhir.mhd.MhdProfile;
import org.openehealth.ipf.commons.ihe.fhir.mhd.MhdValidator;
import org.openehealth.ipf.commons.ihe.fhir.mhd.model.ComprehensiveDocumentReference;
import org.openehealth.ipf.commons.ihe.fhir.mhd.model.ComprehensiveProvideDocumentBundle;
import org.openehealth.ipf.commons.ihe.fhir.mhd.model.ComprehensiveSubmissionSetList;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntry;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Identifiable;
import org.openehealth.ipf.commons.ihe.xds.core.requests.ProvideAndRegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.QueryRegistry;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetDocumentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.QueryReturnType;

/** Source and consumer of MHD 4.2.1 beside one of XDS: what one of them publishes the other finds.
 *
 *  Arguments: host and port, patient (id of the resource), the same patient (CX).
 */
public final class Mobile {
    private static final String LOINC = "http://loinc.org";
    private final FhirContext fhir = FhirContext.forR4();
    private final IGenericClient mobile;
    private final Client xds;
    private final String patient;
    private final Identifiable number;
    private final Submissions submissions;
    private final byte[] content;
    private String unique;
    private String group;

    private Mobile(Client xds, String base, String patient, Identifiable number) {
        fhir.setParserErrorHandler(new StrictErrorHandler());
        fhir.getRestfulClientFactory().setServerValidationMode(ServerValidationModeEnum.NEVER);
        fhir.getRestfulClientFactory().setSocketTimeout(60_000);
        this.mobile = fhir.newRestfulGenericClient(base);
        this.xds = xds;
        this.patient = patient;
        this.number = number;
        this.submissions = new Submissions(number);
        this.content = submissions.content(100_000);
    }

    public static void main(String[] told) {
        try (Client xds = new Client(told[0])) {
            Mobile mobile = new Mobile(xds, "http://" + told[0] + "/fhir", told[1], Identifiable.parse(told[2]));
            Steps.step("ITI-65 publishes a document", mobile::publishes);
            Steps.step("ITI-18 and ITI-43 give what was published", mobile::isInTheRegistry);
            Steps.step("ITI-67 finds it, of the profile", mobile::isFound);
            Steps.step("ITI-68 reads it", mobile::isRead);
            Steps.step("ITI-66 finds its submission set, of the profile", mobile::listsSets);
            Steps.step("ITI-67 finds what ITI-41 provided, of the profile", mobile::findsProvided);
        }
    }

    private void publishes() throws Exception {
        ComprehensiveProvideDocumentBundle bundle = bundle();
        judged(() -> new MhdValidator(fhir).validateRequest(bundle, Map.of()));
        // As a plain bundle, for the answer is read as what was sent.
        IParser parser = fhir.newJsonParser();
        Bundle plain = parser.parseResource(Bundle.class, parser.encodeResourceToString(bundle));
        Bundle answer = mobile.transaction().withBundle(plain).execute();
        Steps.same(bundle.getEntry().size(), answer.getEntry().size());
        Steps.check(answer.getEntry().stream().allMatch(each -> each.getResponse().getStatus().startsWith("201")),
            parser.encodeResourceToString(answer));
        of(answer, MhdProfile.ITI65_PROVIDE_DOCUMENT_BUNDLE_RESPONSE_PROFILE);
    }

    private void isInTheRegistry() throws Exception {
        GetDocumentsQuery query = new GetDocumentsQuery();
        query.setUniqueIds(List.of(unique));
        DocumentEntry entry = xds.query(new QueryRegistry(query, QueryReturnType.LEAF_CLASS))
            .getDocumentEntries().get(0);
        Steps.same(number, entry.getPatientId());
        Steps.same(Submissions.sha1(content), entry.getHash());
        RetrieveDocumentSet request = new RetrieveDocumentSet();
        request.addReferenceTo(entry);
        byte[] found = xds.retrieve(request).getDocuments().get(0).getDataHandler().getInputStream().readAllBytes();
        Steps.same(Submissions.sha1(content), Submissions.sha1(found));
    }

    private void isFound() {
        DocumentReference found = documents("identifier=urn:oid:" + unique);
        Steps.same("urn:oid:" + unique, found.getMasterIdentifier().getValue());
    }

    private void isRead() throws Exception {
        String url = documents("identifier=urn:oid:" + unique).getContentFirstRep().getAttachment().getUrl();
        Binary found = mobile.read().resource(Binary.class).withUrl(url).execute();
        Steps.same(Submissions.sha1(content), Submissions.sha1(found.getContent()));
    }

    private void listsSets() {
        Bundle found = search("List", "code=submissionset&status=current&identifier=urn:oid:" + group);
        Steps.same(1, found.getEntry().size());
        ListResource set = (ListResource) found.getEntryFirstRep().getResource();
        Steps.same(1, set.getEntry().size());
        of(set, MhdProfile.COMPREHENSIVE_SUBMISSIONSET_TYPE_LIST_PROFILE);
        of(found, MhdProfile.ITI66_FIND_DOCUMENT_LISTS_RESPONSE_BUNDLE_PROFILE);
    }

    private void findsProvided() {
        DocumentEntry entry = submissions.entry("Befund");
        byte[] bytes = submissions.content(500);
        ProvideAndRegisterDocumentSet request = submissions.of(List.of(entry), List.of(bytes));
        xds.provide(request);
        DocumentReference found = documents("identifier=urn:oid:" + entry.getUniqueId());
        Steps.same("Befund", found.getContentFirstRep().getAttachment().getTitle());
        Steps.same(500, found.getContentFirstRep().getAttachment().getSize());
        Steps.same(List.of("CT", "69536005"), found.getContext().getEvent().stream()
            .map(each -> each.getCodingFirstRep().getCode()).toList());
    }

    /** The one document that a search finds, each way of the profile. */
    private DocumentReference documents(String by) {
        Bundle found = search("DocumentReference", by + "&status=current");
        Steps.same(1, found.getEntry().size());
        DocumentReference document = (DocumentReference) found.getEntryFirstRep().getResource();
        of(document, MhdProfile.COMPREHENSIVE_DOCUMENT_REFERENCE_PROFILE);
        of(found, MhdProfile.ITI67_FIND_DOCUMENT_REFERENCES_RESPONSE_BUNDLE_PROFILE);
        return document;
    }

    private Bundle search(String type, String by) {
        String universal = number.getAssigningAuthority().getUniversalId();
        String who = "patient.identifier=urn:oid:" + universal + "%7C" + number.getId();
        return mobile.search().byUrl(type + "?" + who + "&" + by).returnBundle(Bundle.class).execute();
    }

    private void of(Resource found, String profile) {
        Resource copy = found.copy();
        copy.getMeta().getProfile().clear();
        copy.getMeta().addProfile(profile);
        isValid(copy);
    }

    private void isValid(Resource found) {
        judged(() -> new MhdValidator(fhir).validateResponse(found, Map.of()));
    }

    private void judged(Runnable validation) {
        try {
            validation.run();
        } catch (BaseServerResponseException each) {
            throw new AssertionError(((OperationOutcome) each.getOperationOutcome()).getIssue().stream()
                .filter(issue -> issue.getSeverity().ordinal() <= IssueSeverity.ERROR.ordinal())
                .map(issue -> issue.getDiagnostics() + " at " + issue.getLocation()).toList().toString());
        }
    }

    private ComprehensiveProvideDocumentBundle bundle() throws Exception {
        unique = submissions.submissionSet().getUniqueId();
        String set = "urn:uuid:" + UUID.randomUUID();
        String document = "urn:uuid:" + UUID.randomUUID();
        String binary = "urn:uuid:" + UUID.randomUUID();
        return new ComprehensiveProvideDocumentBundle()
            .addSubmissionSetList(set, set(document))
            .addDocumentReference(document, document(binary))
            .addBinary(binary, new Binary().setContentType("application/pdf").setData(content));
    }

    private ComprehensiveSubmissionSetList set(String document) throws Exception {
        ComprehensiveSubmissionSetList set = new ComprehensiveSubmissionSetList();
        group = submissions.submissionSet().getUniqueId();
        set.setSubmissionSetUniqueIdIdentifier(new Oid(group));
        set.setSourceId(new Oid("1.2.826.0.1.3680043.9.7777.1"));
        set.addDesignationType(concept(LOINC, "18748-4"));
        set.setSubject(new Reference("Patient/" + patient));
        set.setDate(new Date());
        set.addContained(author().setId("source"));
        set.setSource(new Reference("#source"));
        set.linkDocumentReference(document);
        return set;
    }

    private ComprehensiveDocumentReference document(String binary) throws Exception {
        ComprehensiveDocumentReference document = new ComprehensiveDocumentReference();
        document.setUniqueIdIdentifier("urn:ietf:rfc:3986", "urn:oid:" + unique);
        document.setEntryUuidIdentifier(UUID.randomUUID());
        document.setStatus(DocumentReferenceStatus.CURRENT);
        document.setType(concept(LOINC, "18748-4"));
        document.addCategory(concept("urn:oid:1.2.3.100", "REPORTS"));
        document.setSubject(new Reference("Patient/" + patient));
        document.setDate(new Date());
        document.addAuthor(author());
        document.addSecurityLabel(concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N"));
        document.getContext().setFacilityType(concept("http://snomed.info/sct", "22232009"));
        document.getContext().setPracticeSetting(concept("http://snomed.info/sct", "394914008"));
        document.setSourcePatientInfo(new Patient().addIdentifier(new org.hl7.fhir.r4.model.Identifier()
            .setSystem("urn:oid:1.2.826.0.1.3680043.9.7777.1").setValue("4711")));
        DocumentReference.DocumentReferenceContentComponent part = document.addContent();
        part.getAttachment().setContentType("application/pdf").setLanguage("de-DE").setUrl(binary)
            .setTitle("Befund").setCreation(new Date()).setSize(content.length)
            .setHash(HexFormat.of().parseHex(Submissions.sha1(content)));
        part.setFormat(new Coding("http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
            "urn:ihe:rad:PDF", null));
        return document;
    }

    private static Practitioner author() {
        Practitioner author = new Practitioner();
        author.addName().setFamily("Weiß").addGiven("Jörg");
        return author;
    }

    private static CodeableConcept concept(String system, String code) {
        return new CodeableConcept(new Coding(system, code, code));
    }
}
