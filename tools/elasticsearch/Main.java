import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;

/** One Elasticsearch node, from its server's own jars: HOME (lib, modules), DATA, HTTP PORTS. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]);
        Path data = Path.of(arguments[1]);
        Settings settings = Settings.builder()
            .put("path.home", home)
            .put("path.data", data.resolve("data"))
            .put("path.logs", data.resolve("logs"))
            .put("node.name", "one")
            .put("cluster.name", "ogrom")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[2])
            .put("discovery.type", "single-node")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        LogConfigurator.configureESLogging();
        LogConfigurator.setNodeName("one");
        LogConfigurator.configureWithoutConfig(Settings.EMPTY);
        Node node = new Node(
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), data, () -> "one"));
        CountDownLatch told = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception error) {
                error.printStackTrace();
            } finally {
                told.countDown();
            }
        }));
        node.start();
        var bound = node.injector().getInstance(HttpServerTransport.class).boundAddress();
        System.out.println("HttpServerTransport: address {" + bound.publishAddress() + "}");
        told.await();
    }
}
