//! The settings of librdkafka that users can't override.

/// Settings with a required value. With other values the programs would lose records, apply them twice, or wait forever.
const REQUIRED: [&str; 11] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "isolation.level",
    "max.in.flight.requests.per.connection",
    "partition.assignment.strategy",
    "request.required.acks",
];

/// Why an option can't be set to this value; `None` if it can.
pub(crate) fn refusal(name: &str, value: &str) -> Option<&'static str> {
    match name {
        "client.id" => Some("the programs set the names of their clients"),
        "group.id" => Some("--group (CATALOG_GROUP) sets the consumer group"),
        "transactional.id" => Some("it is made of the topic prefix and the region"),
        "group.protocol" if value != "classic" => Some(
            "the consumer needs the classic protocol: with another one the broker decides the assignment of partitions \
             and the session timeout",
        ),
        _ => REQUIRED.contains(&name).then_some("the programs need their own value"),
    }
}

#[cfg(test)]
mod tests {
    use crate::exit::Stop;
    use crate::kafka::KafkaArgs;

    #[test]
    fn required_settings_are_refused_with_the_reason() {
        let config = |option: &str| {
            let (brokers, topic_prefix) = ("127.0.0.1:9092".to_owned(), String::new());
            KafkaArgs { brokers, options: vec![option.to_owned().into()], topic_prefix }.client_config(&[])
        };
        for option in
            ["client.id=me", "acks=1", "isolation.level=read_uncommitted", "group.protocol=consumer"]
        {
            let Err(Stop::Usage(message)) = config(option) else { panic!("{option}") };
            assert!(
                message.contains(option.split('=').next().unwrap()) && message.contains("because"),
                "{message}"
            );
        }
        assert!(config("group.protocol=classic;linger.ms=5").is_ok());
    }
}
