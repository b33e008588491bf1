//! One check: a question to the device, to its SNMP agent or to Prometheus, and what the answer has to be.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::Fields;

/// A question, and what the answer has to be. One of `read`, `promql` and `snmp`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Check {
    /// An answer of the device that its platform can read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    /// Fields that have these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub is: BTreeMap<String, String>,
    /// Fields that have one of these values.
    #[serde(rename = "in", skip_serializing_if = "BTreeMap::is_empty")]
    pub one_of: BTreeMap<String, Vec<String>>,
    /// Fields that contain these texts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contains: BTreeMap<String, String>,
    /// Fields that the answer has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub has: Vec<String>,
    /// Fields that the answer does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
    /// A query to Prometheus whose answer is one number; `{device}` and `{port}` stand for what is acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promql: Option<String>,
    /// A series that the device is asked for at this moment by way of sotp-snmp, such as `ifAdminStatus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snmp: Option<String>,
    /// Labels of that series; `{device}` and `{port}` stand for what is acted on.
    #[serde(rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The module of `snmp.yml` that brings that series; `if_mib` when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The number that it has to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equals: Option<f64>,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is so.
    Holds,
    /// It is not so.
    Fails,
    /// It cannot be told: there is no answer, or it does not say.
    Unknown,
}

impl Check {
    /// Whether it asks one thing and expects something.
    ///
    /// # Errors
    /// What is missing or too much.
    pub fn sound(&self) -> Result<(), String> {
        let fields = !(self.is.is_empty()
            && self.one_of.is_empty()
            && self.contains.is_empty()
            && self.has.is_empty()
            && self.lacks.is_empty());
        let series = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.snmp.is_none() && !(self.labels.is_empty() && self.module.is_none()) {
            return Err("expected snmp beside where and module".to_owned());
        }
        match (&self.read, &self.promql, &self.snmp) {
            (Some(_), None, None) if fields && self.equals.is_none() => Ok(()),
            (Some(_), None, None) => {
                Err("expected is, in, contains, has or lacks beside read".to_owned())
            }
            (None, Some(_), None) if self.equals.is_some() && !fields => Ok(()),
            (None, Some(_), None) => Err("expected equals beside promql".to_owned()),
            (None, None, Some(name)) if name.is_empty() || !name.chars().all(series) => Err(
                format!("expected the name of a series in snmp, found {name:?}"),
            ),
            (None, None, Some(_)) if self.equals.is_some() && !fields => Ok(()),
            (None, None, Some(_)) => Err("expected equals beside snmp".to_owned()),
            _ => Err("expected read, promql or snmp, one of them".to_owned()),
        }
    }

    /// Whether the fields of an answer are as expected.
    #[must_use]
    pub fn fields(&self, fields: &Fields) -> Verdict {
        let value = |name: &String| fields.get(name);
        if self.has.iter().any(|name| value(name).is_none())
            || self.lacks.iter().any(|name| value(name).is_some())
        {
            return Verdict::Fails;
        }
        for (name, wanted) in &self.is {
            match value(name) {
                // A field that has to have a value and is not there: the answer does not say.
                None => return Verdict::Unknown,
                Some(found) if found != wanted => return Verdict::Fails,
                Some(_) => {}
            }
        }
        for (name, wanted) in &self.one_of {
            match value(name) {
                None => return Verdict::Unknown,
                Some(found) if !wanted.contains(found) => return Verdict::Fails,
                Some(_) => {}
            }
        }
        let contains = |(name, wanted): (&String, &String)| {
            value(name).is_some_and(|found| found.contains(wanted.as_str()))
        };
        if self.contains.iter().all(contains) {
            Verdict::Holds
        } else {
            Verdict::Fails
        }
    }

    /// Whether a number of Prometheus is the expected one.
    #[must_use]
    pub fn number(&self, found: Option<f64>) -> Verdict {
        match (found, self.equals) {
            (Some(found), Some(wanted)) if (found - wanted).abs() < 1e-9 => Verdict::Holds,
            (Some(found), Some(_)) if !found.is_nan() => Verdict::Fails,
            _ => Verdict::Unknown,
        }
    }
}

/// What several checks come to that all have to hold: unknown is neither.
#[must_use]
pub fn holds(verdicts: &[Verdict]) -> Verdict {
    if verdicts.contains(&Verdict::Fails) {
        Verdict::Fails
    } else if verdicts.contains(&Verdict::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Holds
    }
}
