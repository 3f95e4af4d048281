package example;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.kafka.CloudEventSerializer;
import java.net.URI;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Publishes the command ExecuteTask as a CloudEvent. Arguments: an id, the task, its version, inputs as name=text. */
public class ExecuteTask {
    public static void main(String[] args) throws Exception {
        var inputs = new HashMap<String, String>();
        for (String input : List.of(args).subList(3, args.length)) {
            inputs.put(input.split("=", 2)[0], input.split("=", 2)[1]);
        }
        var body = Map.of("taskId", args[1], "taskVersion", args[2], "inputs", inputs);
        CloudEvent command = CloudEventBuilder.v1()
                .withId(args[0]) // with the source, the identity of the command: sent again, nothing is done twice
                .withSource(URI.create("/billing"))
                .withType("ExecuteTask")
                .withData("application/json", new ObjectMapper().writeValueAsBytes(body))
                .build();
        Map<String, Object> settings = Map.of("bootstrap.servers", Settings.SERVERS);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new CloudEventSerializer())) {
            var topic = Settings.PREFIX + "task-execution.commands";
            var stored = producer.send(new ProducerRecord<>(topic, command)).get();
            System.out.println("stored at " + stored);
        }
    }
}
