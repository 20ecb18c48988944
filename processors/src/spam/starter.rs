//! The model that ships in the program: counts of token hashes and no text. `make starter-model` remakes it from the
//! SpamAssassin public corpus, byte for byte (docs/spam.md).

use std::sync::{Arc, LazyLock};

use super::counts::Counts;

const FILE: &[u8] = include_bytes!("starter.model");

static STARTER: LazyLock<Arc<Counts>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
    let counts = Counts::from_file(FILE).expect("the starter is a model file");
    Arc::new(counts)
});

pub(crate) fn counts() -> Arc<Counts> {
    Arc::clone(&STARTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_is_a_model_of_the_corpus() {
        let counts = counts();
        assert_eq!((counts.spam_messages(), counts.ham_messages()), (1896, 4150));
        assert!(counts.tokens() > 100_000);
        assert_eq!(counts.to_file(), FILE);
    }
}
