//! The brokers of a Kafka as `log.kind` names them: `kafka://host:port,host:port`.

pub const SCHEME: &str = "kafka:";

/// The list as librdkafka takes it.
pub fn parse(text: &str) -> Result<String, String> {
    let fault = || format!("it must be kafka://host:port,host:port, not {text:?}");
    let list = text.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix("//")).ok_or_else(fault)?;
    let brokers: Vec<&str> = list.trim_end_matches('/').split(',').map(str::trim).collect();
    match brokers.iter().find(|broker| !is_broker(broker)) {
        Some(broker) => Err(format!("{broker:?} is no host:port; {}", fault())),
        None => Ok(brokers.join(",")),
    }
}

fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_v6 = host.starts_with('[') && host.ends_with(']');
    let is_name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    is_port && !host.is_empty() && (is_v6 || is_name(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_brokers_is_taken_as_it_stands() {
        assert_eq!(parse("kafka://one:9092").as_deref(), Ok("one:9092"));
        assert_eq!(parse("kafka://10.0.0.1:9092, [::1]:9093/").as_deref(), Ok("10.0.0.1:9092,[::1]:9093"));
    }

    #[test]
    fn what_is_no_broker_is_named() {
        for text in ["kafka:", "kafka://", "kafka://one", "kafka://one:0", "kafka://:9092", "kafka://a:1,,b:2"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("kafka://one:9092,user@two:9092").unwrap_err().contains("user@two"));
    }
}
