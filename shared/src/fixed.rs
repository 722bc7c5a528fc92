//! librdkafka's settings that users may not set.

/// Settings that the programs need as they set them: with other values they would lose records, apply them
/// twice, or wait for what never comes.
const RELIED_ON: [&str; 11] = [
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

/// Why an option may not be set to this value, if it may not.
pub(crate) fn reason(name: &str, value: &str) -> Option<&'static str> {
    match name {
        "client.id" => Some("the programs name their clients themselves"),
        "group.id" => Some("--group (CATALOG_GROUP) names the consumer's group"),
        "transactional.id" => Some("the topics' prefix and the region name it"),
        "group.protocol" if value != "classic" => Some(
            "the consumer needs the classic protocol: with another one the broker decides how partitions are \
             assigned and when a member counts as dead",
        ),
        _ => RELIED_ON.contains(&name).then_some("the programs rely on their own value of it"),
    }
}

#[cfg(test)]
mod tests {
    use crate::exit::Stop;
    use crate::kafka::KafkaArgs;

    #[test]
    fn settings_that_the_programs_rely_on_are_refused_with_the_reason() {
        let config = |option: &str| {
            let (brokers, topic_prefix) = ("127.0.0.1:9092".to_owned(), String::new());
            KafkaArgs { brokers, options: vec![option.to_owned().into()], topic_prefix }.client_config(&[])
        };
        for option in
            ["client.id=me", "acks=1", "isolation.level=read_uncommitted", "group.protocol=consumer"]
        {
            let Err(Stop::Usage(told)) = config(option) else { panic!("{option}") };
            assert!(told.contains(option.split('=').next().unwrap()) && told.contains("because"), "{told}");
        }
        assert!(config("group.protocol=classic;linger.ms=5").is_ok());
    }
}
