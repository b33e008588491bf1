//! Names of ports as people and devices write them: `Gi0/1`, `gigabitethernet 0/1` and `GigabitEthernet0/1` are one.

/// Whether two names are of one port: equal, or one abbreviates the letters of the other and the rest is the same.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let ((letters, rest), (others, same)) = (split(one), split(other));
    if rest.is_empty() || rest != same || letters.is_empty() || others.is_empty() {
        return false;
    }
    let (letters, others) = (letters.to_ascii_lowercase(), others.to_ascii_lowercase());
    letters.starts_with(&others) || others.starts_with(&letters)
}

/// The letters in front, and everything from the first digit on.
fn split(name: &str) -> (&str, &str) {
    let at = name
        .find(|c: char| c.is_ascii_digit())
        .unwrap_or(name.len());
    name.split_at(at)
}

/// Whether a text names the port as a word of its own: `r2` is not in `r20`.
#[must_use]
pub fn named(text: &str, port: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':');
    // A full stop or a colon behind it may end a sentence.
    let words: Vec<&str> = text
        .split(|c| !part(c))
        .map(|word| word.trim_end_matches(['.', ':', '-']))
        .filter(|word| !word.is_empty())
        .collect();
    let apart = |pair: &[&str]| {
        let letters = pair[0].chars().all(|c| c.is_ascii_alphabetic());
        letters && pair[1].starts_with(|c: char| c.is_ascii_digit()) && same(&pair.concat(), port)
    };
    words.iter().any(|word| same(word, port)) || words.windows(2).any(apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_is_found_as_a_word() {
        for (text, found) in [
            ("interface r2", true),
            ("shut r2.", true),
            ("r2: down", true),
            ("interface r20", false),
            ("interface er2", false),
            ("Gi0/r2", false),
            ("r2.10", false),
            ("r20 and r2", true),
            ("", false),
        ] {
            assert_eq!(named(text, "r2"), found, "{text}");
        }
    }

    #[test]
    fn abbreviated_and_spaced_names_are_the_same_port_and_others_are_not() {
        for text in [
            "interface GigabitEthernet0/1",
            "int gi0/1",
            "interface gigabitEthernet 0/1",
            "User:alice logged command:interface Gi0/1",
            "vty[3]@(config)# interface G0/1",
        ] {
            assert!(named(text, "Gi0/1"), "{text}");
        }
        for text in [
            "interface GigabitEthernet0/10",
            "interface GigabitEthernet1/0/1",
            "interface TenGigabitEthernet0/1",
            "interface Gi0/1.5",
            "interface range Gi0/2 - 4",
            "on vty0 (198.18.0.1)",
        ] {
            assert!(!named(text, "Gi0/1"), "{text}");
        }
        assert!(!same("1", "2") && !same("Gi", "GigabitEthernet") && !same("0/1", "Gi0/1"));
    }
}
