//! linfa's multinomial naive Bayes over the known tokens of one message. Its training prints every count (`dbg!` in
//! `fit_with` of 0.8.1), its `predict_proba` is not finite on real mail, and it has no constructor: so the model is made
//! through serde, and asked for `joint_log_likelihood`. A likelihood is a sum over the tokens that a message has, so the
//! columns of all others are left out: the sum is the same, and a large model costs what a small one does.

use linfa_bayes::{MultinomialNb, NaiveBayes};
use ndarray::Array2;
use serde::Deserialize;
use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

const HAM: usize = 0;
const SPAM: usize = 1;
/// Both kinds have the same prior: how much spam was in the training says nothing about the next mail.
const PRIOR: f64 = 0.5;

/// The logarithm of the odds that a message is spam in which these tokens stand once each: of every token, the logarithm
/// of its probability in spam and in ham.
pub(crate) fn log_odds(spam: &[f64], ham: &[f64]) -> f64 {
    let classes = Part::Classes([(HAM, ham), (SPAM, spam)]);
    let fields = MapDeserializer::<_, Error>::new([("class_info", classes)].into_iter());
    let Ok(model) = MultinomialNb::<f64, usize>::deserialize(fields) else { return f64::NAN };
    let row = Array2::<f64>::ones((1, spam.len()));
    let likelihoods = model.joint_log_likelihood(row.view());
    let of = |kind: usize| likelihoods.get(&kind).and_then(|column| column.first()).copied().unwrap_or(f64::NAN);
    of(SPAM) - of(HAM)
}

/// A part of the model as serde asks for it.
#[derive(Clone, Copy)]
enum Part<'a> {
    Classes([(usize, &'a [f64]); 2]),
    Class(&'a [f64]),
    Array(&'a [f64]),
    Shape(usize),
    Numbers(&'a [f64]),
    Count(usize),
    Number(f64),
}

impl<'de> Deserializer<'de> for Part<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Part::Classes(classes) => {
                let classes = classes.map(|(kind, logs)| (kind, Part::Class(logs)));
                visitor.visit_map(MapDeserializer::new(classes.into_iter()))
            }
            Part::Class(logs) => visitor.visit_map(MapDeserializer::new(
                [
                    ("class_count", Part::Count(1)),
                    ("prior", Part::Number(PRIOR)),
                    // Only its training reads it.
                    ("feature_count", Part::Array(&[])),
                    ("feature_log_prob", Part::Array(logs)),
                ]
                .into_iter(),
            )),
            // As ndarray writes an array of one dimension.
            Part::Array(numbers) => visitor.visit_map(MapDeserializer::new(
                [("v", Part::Count(1)), ("dim", Part::Shape(numbers.len())), ("data", Part::Numbers(numbers))]
                    .into_iter(),
            )),
            Part::Shape(length) => visitor.visit_seq(SeqDeserializer::new([length].into_iter())),
            Part::Numbers(numbers) => visitor.visit_seq(SeqDeserializer::new(numbers.iter().copied())),
            Part::Count(count) => visitor.visit_u64(count as u64),
            Part::Number(number) => visitor.visit_f64(number),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Part<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odds_are_the_sum_of_the_ratios_to_a_billionth() {
        let spam: Vec<f64> = (1..2000).map(|number| (f64::from(number) / 7e5).ln()).collect();
        let ham: Vec<f64> = (1..2000).map(|number| (f64::from(number % 37 + 1) / 3e5).ln()).collect();
        let expected: f64 = spam.iter().zip(&ham).map(|(spam, ham)| spam - ham).sum();
        assert!((log_odds(&spam, &ham) - expected).abs() < 1e-9);
        assert_eq!(log_odds(&[], &[]), 0.0);
    }
}
