//! Answers as the API gives them, made into numbers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// The labels of a series, by name; `__name__` is among them where the query kept it.
pub type Labels = BTreeMap<String, String>;

/// One series at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels; none for a scalar.
    pub labels: Labels,
    /// Seconds since the epoch.
    pub at: f64,
    /// The value; it may be NaN or infinite.
    pub value: f64,
}

/// The answer to an instant query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vector {
    /// One sample for each series; a scalar is one sample without labels.
    pub samples: Vec<Sample>,
    /// What Prometheus warned of: the answer may be partial then.
    pub warnings: Vec<String>,
}

impl Vector {
    /// The value where the answer is one sample.
    #[must_use]
    pub fn single(&self) -> Option<f64> {
        match &*self.samples {
            [sample] => Some(sample.value),
            _ => None,
        }
    }
}

/// One series over a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Seconds since the epoch and value, in the order of time; steps without a value are left out.
    pub points: Vec<(f64, f64)>,
}

/// The answer to a range query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// The series, in the order of their labels.
    pub series: Vec<Series>,
    /// What Prometheus warned of: the answer may be partial then.
    pub warnings: Vec<String>,
}

/// The frame round every answer.
#[derive(Deserialize)]
pub(crate) struct Frame<T> {
    pub(crate) status: String,
    pub(crate) data: Option<T>,
    #[serde(default, rename = "errorType")]
    pub(crate) error_type: String,
    #[serde(default)]
    pub(crate) error: String,
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
}

/// The answer to a query of either kind.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(crate) enum Outcome {
    Vector(Vec<RawSample>),
    Matrix(Vec<RawSeries>),
    Scalar(Point),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
pub(crate) struct RawSample {
    #[serde(default)]
    metric: Labels,
    /// Absent for a native histogram, which is no number.
    value: Option<Point>,
}

#[derive(Deserialize)]
pub(crate) struct RawSeries {
    #[serde(default)]
    metric: Labels,
    #[serde(default)]
    values: Vec<Point>,
}

/// `[1700000000.123, "42"]`
#[derive(Clone, Copy)]
pub(crate) struct Point(f64, f64);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (at, value): (f64, std::borrow::Cow<'de, str>) = Deserialize::deserialize(from)?;
        let value = value
            .parse()
            .map_err(|_| D::Error::custom("expected a number as text"))?;
        Ok(Self(at, value))
    }
}

impl Outcome {
    pub(crate) fn samples(self) -> Option<Vec<Sample>> {
        let sample = |labels, Point(at, value)| Sample { labels, at, value };
        match self {
            Self::Vector(all) => Some(
                all.into_iter()
                    .filter_map(|raw| Some(sample(raw.metric, raw.value?)))
                    .collect(),
            ),
            Self::Scalar(point) => Some(vec![sample(Labels::new(), point)]),
            Self::Matrix(_) | Self::String(_) => None,
        }
    }

    pub(crate) fn series(self) -> Option<BTreeMap<Labels, Vec<(f64, f64)>>> {
        let Self::Matrix(all) = self else {
            return None;
        };
        let points = |raw: &RawSeries| raw.values.iter().map(|Point(at, v)| (*at, *v)).collect();
        Some(
            all.into_iter()
                .map(|raw| (points(&raw), raw.metric))
                .map(|(points, labels)| (labels, points))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_of_every_kind() {
        let text = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"a":"1"},"value":[1700000000.5,"NaN"]},
            {"metric":{"a":"2"},"value":[1700000000.5,"+Inf"]},
            {"metric":{"a":"3"},"value":[1700000000.5,"-1.5e-3"]},
            {"metric":{"a":"4"},"histogram":[1700000000.5,{"count":"1","sum":"2"}]}]},"warnings":["half"]}"#;
        let frame: Frame<Outcome> = serde_json::from_str(text).unwrap();
        assert_eq!(frame.warnings, ["half"]);
        let samples = frame.data.unwrap().samples().unwrap();
        assert_eq!(samples.len(), 3, "a histogram is no number");
        assert!(samples[0].value.is_nan());
        assert!(samples[1].value.is_infinite());
        assert!((samples[2].value + 0.0015).abs() < 1e-12);
        let bad = text.replace("NaN", "many");
        assert!(serde_json::from_str::<Frame<Outcome>>(&bad).is_err());
    }
}
