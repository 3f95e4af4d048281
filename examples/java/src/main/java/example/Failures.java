package example;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.CloudEventDeserializer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Prints every execution that fails, at least once, until it is ended. */
public class Failures {
    public static void main(String[] args) throws Exception {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", Settings.SERVERS,
                "group.id", "java-failures",
                "auto.offset.reset", "earliest",
                "isolation.level", "read_committed",
                "enable.auto.commit", false);
        var json = new ObjectMapper();
        try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new CloudEventDeserializer())) {
            consumer.subscribe(List.of(Settings.PREFIX + "task-execution.events"));
            while (true) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    CloudEvent event = record.value();
                    if (event.getType().equals("TaskExecutionFailed")) { // there will be types that are not known yet
                        var failure = json.readTree(event.getData().toBytes());
                        System.out.println(String.join(" ", event.getId(), event.getTime().toString(),
                                failure.get("taskId").asText(), failure.get("errorMessage").asText()));
                    }
                }
                consumer.commitSync(); // what came in this turn has been handled
            }
        }
    }
}
