//! Which stages a process runs, and which of them can't run without the others.

/// Which stages this process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stages {
    pub ingest: bool,
    pub processors: bool,
    pub sinks: bool,
    pub api: bool,
}

const NAMES: [&str; 4] = ["ingest", "processors", "sinks", "api"];

impl Stages {
    /// What an operator's command needs when nobody else runs on the folder: everything but SMTP.
    pub const WITHOUT_SMTP: Self = Self { ingest: false, processors: true, sinks: true, api: true };

    /// The same on a log that others stand on: they compute, and a command does not step into their groups.
    pub const API: Self = Self { ingest: false, processors: false, sinks: false, api: true };

    pub fn parse(names: &[String]) -> Result<Self, String> {
        let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| !NAMES.contains(name)).collect();
        if !unknown.is_empty() {
            return Err(format!("there is no stage {}; the stages are {}", unknown.join(", "), NAMES.join(", ")));
        }
        let has = |name: &str| names.iter().any(|known| known == name);
        Ok(Self { ingest: has("ingest"), processors: has("processors"), sinks: has("sinks"), api: has("api") })
    }

    /// Whether this process shows mail, or tells of it: then it folds a store.
    pub const fn need_store(self) -> bool {
        self.api || self.sinks
    }

    /// Which subsets can't work. The embedded log belongs to one process, so nobody else can run what is left out; on
    /// a shared one others do.
    pub fn faults(self, is_shared: bool) -> Vec<String> {
        let mut faults = Vec::new();
        if self == (Self { ingest: false, processors: false, sinks: false, api: false }) {
            faults.push("no stage is named: there is nothing to run".to_owned());
        }
        if is_shared {
            return faults;
        }
        let change = "name every stage here, or set log.kind to kafka://… so that other processes can run the others";
        let alone = "the embedded log is used by one process, so no other can";
        if self.api && !self.sinks {
            let cause = "api shows what sinks writes, and without it no change would show";
            faults.push(format!("{cause}; {alone} run it: {change}"));
        }
        if self.sinks && !self.processors {
            faults.push(format!("sinks stores what processors concludes; {alone} run it: {change}"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(names: &[&str]) -> usize {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Stages::parse(&names).unwrap().faults(false).len()
    }

    #[test]
    fn a_subset_of_the_stages_runs_where_nobody_is_missed() {
        assert_eq!(faults(&NAMES), 0);
        assert_eq!(faults(&["ingest"]), 0, "mail is taken now and computed later");
        assert_eq!(faults(&["ingest", "processors"]), 0);
        assert_eq!(faults(&["processors", "sinks", "api"]), 0, "reading without taking mail");
    }

    #[test]
    fn a_subset_without_what_it_leans_on_is_refused() {
        assert_eq!(faults(&[]), 1);
        assert_eq!(faults(&["ingest", "api"]), 1);
        assert_eq!(faults(&["ingest", "sinks"]), 1);
        assert!(Stages::parse(&["apis".to_owned()]).unwrap_err().contains("apis"));
    }
}
