import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.Processor;
import org.apache.camel.ProducerTemplate;
import org.apache.camel.impl.DefaultCamelContext;
import org.openehealth.ipf.commons.ihe.xds.core.responses.QueryResponse;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Response;
import org.openehealth.ipf.commons.ihe.xds.core.responses.RetrievedDocumentSet;
import org.openehealth.ipf.platform.camel.ihe.xds.XdsCamelValidators;

/** IPF's endpoints for one server, with its validators before every request and after every answer. */
final class Client implements AutoCloseable {
    private final CamelContext camel = new DefaultCamelContext();
    private final ProducerTemplate producer;
    private final String host;

    Client(String host) {
        this.host = host;
        camel.setLoadTypeConverters(true);
        camel.start();
        producer = camel.createProducerTemplate();
    }

    Response provide(Object request) {
        return call("xds-iti41", "xds/repository", request, Response.class,
            XdsCamelValidators.iti41RequestValidator(), XdsCamelValidators.iti41ResponseValidator());
    }

    Response register(Object request) {
        return call("xds-iti42", "xds/registry", request, Response.class,
            XdsCamelValidators.iti42RequestValidator(), XdsCamelValidators.iti42ResponseValidator());
    }

    Response update(Object request) {
        return call("xds-iti57", "xds/registry", request, Response.class,
            XdsCamelValidators.iti57RequestValidator(), XdsCamelValidators.iti57ResponseValidator());
    }

    Response registerOnDemand(Object request) {
        return call("xds-iti61", "xds/registry", request, Response.class,
            XdsCamelValidators.iti61RequestValidator(), XdsCamelValidators.iti61ResponseValidator());
    }

    Response removeMetadata(Object request) {
        return call("rmd-iti62", "xds/registry", request, Response.class,
            XdsCamelValidators.iti62RequestValidator(), XdsCamelValidators.iti62ResponseValidator());
    }

    Response removeDocuments(Object request) {
        return call("rmd-iti86", "xds/repository", request, Response.class,
            XdsCamelValidators.iti86RequestValidator(), XdsCamelValidators.iti86ResponseValidator());
    }

    QueryResponse query(Object request) {
        return call("xds-iti18", "xds/registry", request, QueryResponse.class,
            XdsCamelValidators.iti18RequestValidator(), XdsCamelValidators.iti18ResponseValidator());
    }

    QueryResponse queryOfMany(Object request) {
        return call("xds-iti51", "xds/registry", request, QueryResponse.class,
            XdsCamelValidators.iti51RequestValidator(), XdsCamelValidators.iti51ResponseValidator());
    }

    QueryResponse queryAcross(Object request) {
        return call("xca-iti38", "xca/query", request, QueryResponse.class,
            XdsCamelValidators.iti38RequestValidator(), XdsCamelValidators.iti38ResponseValidator());
    }

    RetrievedDocumentSet retrieve(Object request) {
        return call("xds-iti43", "xds/repository", request, RetrievedDocumentSet.class,
            XdsCamelValidators.iti43RequestValidator(), XdsCamelValidators.iti43ResponseValidator());
    }

    RetrievedDocumentSet retrieveAcross(Object request) {
        return call("xca-iti39", "xca/retrieve", request, RetrievedDocumentSet.class,
            XdsCamelValidators.iti39RequestValidator(), XdsCamelValidators.iti39ResponseValidator());
    }

    RetrievedDocumentSet images(Object request) {
        return call("xdsi-rad69", "xds/imaging", request, RetrievedDocumentSet.class,
            XdsCamelValidators.rad69RequestValidator(), XdsCamelValidators.rad69ResponseValidator());
    }

    RetrievedDocumentSet imagesAcross(Object request) {
        return call("xcai-rad75", "xca/imaging", request, RetrievedDocumentSet.class,
            XdsCamelValidators.rad75RequestValidator(), XdsCamelValidators.rad75ResponseValidator());
    }

    private <T> T call(String scheme, String path, Object request, Class<T> type, Processor before, Processor after) {
        String endpoint = scheme + "://" + host + "/" + path + "?audit=false";
        Exchange exchange = producer.request(endpoint, each -> {
            each.getIn().setBody(request);
            before.process(each);
        });
        try {
            if (exchange.getException() != null) {
                throw exchange.getException();
            }
            exchange.getIn().setBody(exchange.getMessage().getBody());
            after.process(exchange);
        } catch (Exception each) {
            throw new IllegalStateException(scheme + ": " + each, each);
        }
        return exchange.getMessage().getBody(type);
    }

    @Override
    public void close() {
        camel.stop();
    }
}
