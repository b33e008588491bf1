//! What may be put into a command: nothing that could end it, begin another one or be taken for an option.

use std::collections::BTreeMap;

/// Longest value of a parameter in bytes.
const LONGEST: usize = 128;

/// Why a value is not put into a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is empty or too long.
    #[error("expected 1 to {LONGEST} bytes")]
    Length,
    /// It holds something that could end a command or begin another one.
    #[error(
        "expected no control characters, no line ends and none of ; | ? & < > ` $ ! \" ' \\ and no spaces"
    )]
    Character,
    /// It begins as an option does.
    #[error("expected a value that does not begin with -")]
    Option,
    /// It is not what the platform takes there.
    #[error("expected a value of the form {0}")]
    Form(String),
    /// A place of the template has no value.
    #[error("no value for {{{0}}}")]
    Missing(String),
    /// A value has no place in the template.
    #[error("the command has no place for {0:?}")]
    Unknown(String),
}

/// Whether `value` can stand in a command of any platform: printable ASCII of a kind that no command line takes for more than a value.
///
/// # Errors
/// What is wrong with it.
pub fn fit(value: &str) -> Result<(), Unfit> {
    if value.is_empty() || value.len() > LONGEST {
        return Err(Unfit::Length);
    }
    let harmless = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | ':' | '-' | '@' | '+' | ',')
    };
    if !value.chars().all(harmless) {
        return Err(Unfit::Character);
    }
    if value.starts_with('-') {
        return Err(Unfit::Option);
    }
    Ok(())
}

/// The names of the places in a template, in order.
#[must_use]
pub fn places(template: &str) -> Vec<&str> {
    let after = template.split('{').skip(1);
    after
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
        .collect()
}

/// `template` with every place filled; each value has to be [`fit`], and all of them are used.
///
/// # Errors
/// A value is missing, unknown or not fit.
pub fn fill(template: &str, values: &BTreeMap<String, String>) -> Result<String, (String, Unfit)> {
    let places = places(template);
    if let Some(unknown) = values.keys().find(|name| !places.contains(&name.as_str())) {
        return Err((unknown.clone(), Unfit::Unknown(unknown.clone())));
    }
    fill_known(template, values)
}

/// As [`fill`], for values of which the template may use some only.
///
/// # Errors
/// A value is missing or not fit.
pub fn fill_known(
    template: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, (String, Unfit)> {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        let Some(value) = values.get(name) else {
            return Err((name.to_owned(), Unfit::Missing(name.to_owned())));
        };
        fit(value).map_err(|unfit| (name.to_owned(), unfit))?;
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("ifname".to_owned(), value.to_owned())])
    }

    #[test]
    fn what_could_become_a_second_command_is_refused() {
        for bad in [
            "",
            "r2\rreload",
            "r2\nreload",
            "r2;reload",
            "r2|include x",
            "r2?",
            "-c",
            "--help",
            "r2 reload",
            "r2\u{0}",
            "r2\u{1b}[A",
            "r2\t",
            "\u{7f}",
            "r2`id`",
            "$(id)",
            "r2&",
            "r2>x",
            "r2\u{2028}x",
            "ｒ2",
        ] {
            assert!(
                fill("show interface {ifname}", &values(bad)).is_err(),
                "{bad:?}"
            );
        }
        assert_eq!(
            fill("show interface {ifname}", &values("GigabitEthernet0/1.10")).unwrap(),
            "show interface GigabitEthernet0/1.10"
        );
        assert!(
            fill("show version", &values("r2")).is_err(),
            "a value without a place"
        );
        assert!(
            fill("show interface {ifname}", &BTreeMap::new()).is_err(),
            "a place without a value"
        );
    }

    proptest! {
        #[test]
        fn no_accepted_value_is_more_than_one_word_of_one_line(value in any::<String>()) {
            if let Ok(command) = fill("show interface {ifname}", &values(&value)) {
                prop_assert_eq!(command.split_whitespace().count(), 3);
                prop_assert!(command.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{:?}", command);
                prop_assert!(!command.contains([';', '|', '?', '&', '`', '$', '<', '>', '\\', '"', '\'']), "{:?}", command);
                prop_assert!(!value.starts_with('-'));
            }
        }

        #[test]
        fn what_a_line_end_or_separator_is_put_into_is_refused(before in "[a-z0-9]{1,8}", after in "[a-z0-9]{0,8}", cut in "[\\r\\n;|?\\x00-\\x1f\\x7f]") {
            let value = format!("{before}{cut}{after}");
            let filled = fill("show interface {ifname}", &values(&value));
            prop_assert!(filled.is_err());
        }
    }
}
