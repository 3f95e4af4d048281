package example;

/** Where Kafka is, and what stands before the names of topics there. */
final class Settings {
    static final String SERVERS = System.getenv().getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092");
    static final String PREFIX = System.getenv().getOrDefault("TASKEXEC_PREFIX", "");

    private Settings() {}
}
