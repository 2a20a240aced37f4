// OpenSearch as one node of one process, from the jars of its runner: java OsMain PORT DATA [setting=value …]
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.node.OpenSearchRunnerNode;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.plugins.Plugin;

public class OsMain {
  public static void main(String[] arguments) throws Exception {
    String data = arguments[1];
    Settings.Builder builder = Settings.builder()
        .put("path.home", data)
        .put("path.data", data + "/data")
        .put("path.logs", data + "/logs")
        .put("cluster.name", "tailrace")
        .put("node.name", "n1")
        .put("discovery.type", "single-node")
        .put("network.host", "127.0.0.1")
        .put("http.port", arguments[0])
        .put("transport.port", "9410-9490")
        .put("cluster.routing.allocation.disk.threshold_enabled", false);
    for (int i = 2; i < arguments.length; i++) {
      int equals = arguments[i].indexOf('=');
      builder.put(arguments[i].substring(0, equals), arguments[i].substring(equals + 1));
    }
    OpenSearchRunnerNode node = new OpenSearchRunnerNode(
        new Environment(builder.build(), Path.of(data, "config")),
        List.of(
            plugin("org.opensearch.transport.Netty4ModulePlugin"),
            plugin("org.opensearch.ingest.common.IngestCommonModulePlugin")));
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

  private static Class<? extends Plugin> plugin(String name) throws ClassNotFoundException {
    return Class.forName(name).asSubclass(Plugin.class);
  }
}
