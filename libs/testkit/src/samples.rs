//! Scraped metrics.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Metric name with its suffix.
    pub name: String,
    /// Labels, unescaped.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
    /// The text after ` # ` of an OpenMetrics line.
    pub exemplar: Option<String>,
}

/// A parsed exposition, text 0.0.4 or OpenMetrics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Parses strictly: a line that is neither a comment nor a sample is an error.
    ///
    /// # Errors
    /// The first such line.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).with_context(|| format!("line {line:?}")));
        Ok(Self(samples.collect::<anyhow::Result<_>>()?))
    }

    /// Every sample in order.
    #[must_use]
    pub fn all(&self) -> &[Sample] {
        &self.0
    }

    /// The samples of this name that carry at least these labels.
    pub fn select<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> + 'a {
        self.0.iter().filter(move |sample| {
            let has = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).is_some_and(|have| have == value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }

    /// The value of the one sample of this name with at least these labels; `None` when there is none.
    ///
    /// # Panics
    /// Several fit: the test must name more labels, or ask for [`sum`](Self::sum).
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.select(name, labels);
        let first = found.next()?;
        let second = found.next();
        assert!(
            second.is_none(),
            "several samples fit {name} {labels:?}: {first:?}, {second:?}"
        );
        Some(first.value)
    }

    /// The sum over the samples of this name with at least these labels; 0 when there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // The sum of nothing is -0.0, which no figure should show.
        self.select(name, labels)
            .map(|sample| sample.value)
            .sum::<f64>()
            + 0.0
    }
}

fn sample(line: &str) -> anyhow::Result<Sample> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = pairs(inside, &mut labels)?;
    }
    let (value, exemplar) = match rest.split_once(" # ") {
        Some((value, exemplar)) => (value, Some(exemplar.to_owned())),
        None => (rest, None),
    };
    let value = value.split_whitespace().next().context("no value")?;
    let value = value.parse().with_context(|| format!("value {value:?}"))?;
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
        exemplar,
    })
}

/// Reads label pairs up to the closing brace and returns what follows it.
fn pairs<'a>(mut rest: &'a str, labels: &mut BTreeMap<String, String>) -> anyhow::Result<&'a str> {
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (key, after) = rest.split_once("=\"").context("label without value")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let close = loop {
            match chars.next().context("open label value")? {
                (at, '"') => break at,
                (_, '\\') => match chars.next().context("open escape")?.1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    other => bail!("unknown escape {other:?}"),
                },
                (_, c) => value.push(c),
            }
        };
        if labels.insert(key.to_owned(), value).is_some() {
            bail!("label {key} twice");
        }
        rest = after.get(close + 1..).unwrap_or_default();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read() {
        let text = "# HELP a A.\na{x=\"1\",y=\"a \\\"b\\\" \\\\ \\n}\"} 2\na{x=\"2\"} 3 1700000000000\nb +Inf\nc_bucket{le=\"1.0\"} 4 # {trace_id=\"ab\"} 0.5\n# EOF\n";
        let samples = Samples::parse(text).unwrap();
        assert_eq!(samples.value("a", &[("x", "1")]), Some(2.0));
        assert_eq!(samples.all()[0].labels["y"], "a \"b\" \\ \n}");
        assert_eq!(samples.sum("a", &[]), 5.0);
        assert_eq!(samples.value("b", &[]), Some(f64::INFINITY));
        assert_eq!(samples.value("missing", &[]), None);
        assert_eq!(
            samples.all()[3].exemplar.as_deref(),
            Some("{trace_id=\"ab\"} 0.5")
        );
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        for text in [
            "a",
            "a{",
            "a{x=\"1\"",
            "a{x} 1",
            "a b",
            "a{x=\"1\",x=\"2\"} 1",
            "a{x=\"\\q\"} 1",
        ] {
            assert!(Samples::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    #[should_panic(expected = "several samples fit")]
    fn ambiguous_question_is_a_mistake_of_the_test() {
        let _ = Samples::parse("a{x=\"1\"} 1\na{x=\"2\"} 2\n")
            .unwrap()
            .value("a", &[]);
    }
}
