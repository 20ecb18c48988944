//! What an installation may hand on to librdkafka, said before anything is connected.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// What this program decides: where the log is, who reads it, and that nothing acknowledged is lost.
const DECIDED: [&str; 21] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "group.instance.id",
    "transactional.id",
    "transaction.timeout.ms",
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "partitioner",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "isolation.level",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "retries",
];

/// Why librdkafka can't be given this; without a value, whether it knows the name. The value is not repeated.
pub fn client_fault(name: &str, value: Option<&str>) -> Option<String> {
    if DECIDED.contains(&name) {
        return Some("it is decided by this program".to_owned());
    }
    let made = ClientConfig::new().set(name, value.unwrap_or_default()).create_native_config();
    match made {
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Some("librdkafka has no such setting".to_owned())
        }
        Err(_) if value.is_some() => Some("librdkafka does not take this value".to_owned()),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_can_not_work_is_named_and_its_value_is_not() {
        assert_eq!(client_fault("linger.ms", Some("7")), None);
        assert_eq!(client_fault("sasl.password", None), None);
        for (name, value) in [("acks", "0"), ("linger.ms", "soon"), ("no.such.thing", "secret")] {
            let cause = client_fault(name, Some(value)).unwrap();
            assert!(!cause.contains(value) || value == "0", "{cause}");
        }
        assert!(client_fault("no.such.thing", None).is_some());
    }
}
