// Elasticsearch as one node of one process, from the jars of its module: java EsMain HOME PORT DATA [setting=value …]
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

public class EsMain {
  public static void main(String[] arguments) throws Exception {
    Path home = Path.of(arguments[0]);
    String data = arguments[2];
    Settings.Builder builder = Settings.builder()
        .put("path.home", home.toString())
        .put("path.data", data)
        .put("path.logs", data + "-logs")
        .put("cluster.name", "tailrace")
        .put("node.name", "n1")
        .put("discovery.type", "single-node")
        .put("network.host", "127.0.0.1")
        .put("http.port", arguments[1])
        .put("transport.port", "9310-9390")
        .put("cluster.routing.allocation.disk.threshold_enabled", false);
    for (int i = 3; i < arguments.length; i++) {
      int equals = arguments[i].indexOf('=');
      builder.put(arguments[i].substring(0, equals), arguments[i].substring(equals + 1));
    }
    Settings settings = builder.build();
    LogConfigurator.setNodeName("n1");
    LogConfigurator.configureESLogging();
    try {
      LogConfigurator.configureWithoutConfig(settings);
    } catch (Throwable thrown) {
      System.err.println("Logging is not configured: " + thrown);
    }
    PluginsLoader plugins = PluginsLoader.createPluginsLoader(
        PluginsLoader.loadModulesBundles(home.resolve("modules"), true), Set.of(), Map.of(), false);
    Node node = new Node(new Environment(settings, home.resolve("config")), plugins);
    node.start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        node.close();
      } catch (Exception ignored) {
        // It ends anyway.
      }
    }));
    new CountDownLatch(1).await();
  }
}
