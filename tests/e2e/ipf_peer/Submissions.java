import jakarta.activation.DataHandler;
import jakarta.mail.util.ByteArrayDataSource;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Association;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssociationLabel;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssociationType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssigningAuthority;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Author;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AvailabilityStatus;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.CXiAssigningAuthority;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Code;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Document;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntry;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntryType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Folder;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Identifiable;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.LocalizedString;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Organization;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.PatientInfo;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Person;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.ReferenceId;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.SubmissionSet;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.XpnName;
import org.openehealth.ipf.commons.ihe.xds.core.requests.ProvideAndRegisterDocumentSet;

/** What a hospital's document source sends of one patient. */
final class Submissions {
    static final String ORDER = "B-2026-0815";
    private static final String SOURCE = "1.2.826.0.1.3680043.9.7777.1";
    private final Identifiable patient;
    private final Random random = new Random(42);

    Submissions(Identifiable patient) {
        this.patient = patient;
    }

    static Code code(String code, String scheme) {
        return new Code(code, new LocalizedString("Bezeichnung " + code, "de-DE", "UTF-8"), scheme);
    }

    static ReferenceId order() {
        return new ReferenceId(ORDER, new CXiAssigningAuthority(null, SOURCE, "ISO"), ReferenceId.ID_TYPE_CODE_ORDER);
    }

    byte[] content(int size) {
        byte[] content = new byte[size];
        random.nextBytes(content);
        // What takes a boundary or a line end for its own loses bytes here.
        System.arraycopy("\r\n--uuid:\r\n\r\n--\0\0".getBytes(), 0, content, size / 2, 16);
        return content;
    }

    DocumentEntry entry(String title) {
        DocumentEntry entry = new DocumentEntry();
        entry.setEntryUuid("urn:uuid:" + UUID.randomUUID());
        entry.setUniqueId(uid());
        entry.setLogicalUuid(entry.getEntryUuid());
        entry.setPatientId(patient);
        entry.setSourcePatientId(new Identifiable("4711", new AssigningAuthority(SOURCE)));
        entry.setSourcePatientInfo(patientInfo());
        entry.setTitle(new LocalizedString(title, "de-DE", "UTF-8"));
        entry.setComments(new LocalizedString("Übersicht & <Anmerkung> 报告", "de-DE", "UTF-8"));
        entry.setCreationTime("20260301093000");
        entry.setServiceStartTime("20260301");
        entry.setServiceStopTime("202603011015");
        entry.setLanguageCode("de-DE");
        entry.setMimeType("application/pdf");
        entry.setClassCode(code("REPORTS", "1.2.3.100"));
        entry.setTypeCode(code("18748-4", "2.16.840.1.113883.6.1"));
        entry.setFormatCode(code("urn:ihe:rad:PDF", "1.3.6.1.4.1.19376.1.2.3"));
        entry.setHealthcareFacilityTypeCode(code("HOSP", "1.2.3.101"));
        entry.setPracticeSettingCode(code("RAD", "1.2.3.102"));
        entry.getConfidentialityCodes().add(code("N", "2.16.840.1.113883.5.25"));
        entry.getEventCodeList().add(code("CT", "1.2.840.10008.2.16.4"));
        entry.getEventCodeList().add(code("69536005", "2.16.840.1.113883.6.96"));
        entry.getAuthors().add(author("Weiß", "Jörg"));
        entry.getAuthors().add(author("O'Neill", "Síle"));
        entry.setLegalAuthenticator(Person.parse("17^Weiß^Jörg^^^Dr^^^&" + SOURCE + "&ISO"));
        entry.getReferenceIdList().add(order());
        entry.setType(DocumentEntryType.STABLE);
        entry.setAvailabilityStatus(AvailabilityStatus.APPROVED);
        return entry;
    }

    /** Submission set of these entries; each entry told with its bytes, for ITI-41. */
    ProvideAndRegisterDocumentSet of(List<DocumentEntry> entries, List<byte[]> contents) {
        ProvideAndRegisterDocumentSet request = new ProvideAndRegisterDocumentSet();
        request.setSubmissionSet(submissionSet());
        for (int i = 0; i < entries.size(); i++) {
            DocumentEntry entry = entries.get(i);
            byte[] bytes = contents.get(i);
            DataHandler data = new DataHandler(new ByteArrayDataSource(bytes, entry.getMimeType()));
            request.getDocuments().add(new Document(entry, data));
            request.getAssociations().add(original(request.getSubmissionSet().getEntryUuid(), entry.getEntryUuid()));
        }
        return request;
    }

    SubmissionSet submissionSet() {
        SubmissionSet set = new SubmissionSet();
        set.setEntryUuid("urn:uuid:" + UUID.randomUUID());
        set.setUniqueId(uid());
        set.setPatientId(patient);
        set.setSourceId(SOURCE);
        set.setSubmissionTime("20260301110000");
        set.setContentTypeCode(code("REPORT", "1.2.3.103"));
        set.setTitle(new LocalizedString("Einreichung"));
        set.getAuthors().add(author("Weiß", "Jörg"));
        set.setAvailabilityStatus(AvailabilityStatus.APPROVED);
        return set;
    }

    Folder folder() {
        Folder folder = new Folder();
        folder.setEntryUuid("urn:uuid:" + UUID.randomUUID());
        folder.setUniqueId(uid());
        folder.setPatientId(patient);
        folder.setTitle(new LocalizedString("Mappe"));
        folder.getCodeList().add(code("ONCO", "1.2.3.104"));
        folder.setAvailabilityStatus(AvailabilityStatus.APPROVED);
        return folder;
    }

    /** Of a submission set that brings the document. */
    static Association original(String source, String target) {
        Association member = member(source, target);
        member.setLabel(AssociationLabel.ORIGINAL);
        return member;
    }

    static Association member(String source, String target) {
        return association(AssociationType.HAS_MEMBER, source, target);
    }

    static Association association(AssociationType type, String source, String target) {
        return new Association(type, "urn:uuid:" + UUID.randomUUID(), source, target);
    }

    static String sha1(byte[] content) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(content));
    }

    private Author author(String family, String given) {
        Author author = new Author();
        author.setAuthorPerson(Person.parse("17^" + family + "^" + given + "^^^Dr^^^&" + SOURCE + "&ISO"));
        author.getAuthorInstitution().add(Organization.parse("Klinik Süd^^^^^&" + SOURCE + "&ISO^^^^45"));
        author.getAuthorRole().add(new Identifiable("Radiologe", new AssigningAuthority(SOURCE)));
        return author;
    }

    private static PatientInfo patientInfo() {
        PatientInfo info = new PatientInfo();
        info.getIds().add(new Identifiable("4711", new AssigningAuthority(SOURCE)));
        info.getNames().add(new XpnName("Müller", "Änne", null, null, null, null));
        info.setDateOfBirth("19520413");
        info.setGender("F");
        return info;
    }

    private static String uid() {
        UUID uuid = UUID.randomUUID();
        ByteBuffer bytes = ByteBuffer.allocate(16);
        bytes.putLong(uuid.getMostSignificantBits()).putLong(uuid.getLeastSignificantBits());
        return "2.25." + new BigInteger(1, bytes.array());
    }
}
