//! A configuration without what changes by itself.

use crate::Driver;

impl Driver {
    /// `lines` without volatile lines and parts, without trailing spaces, and with at most one empty line or bare comment sign
    /// in a row: where a volatile line was is then not to be seen.
    #[must_use]
    pub fn normalise(&self, lines: &[String]) -> String {
        let mut text = String::new();
        let mut gap = true;
        let mut sign = false;
        for line in lines {
            let line = line.trim_end();
            if self.drop.as_ref().is_some_and(|drop| drop.is_match(line)) {
                continue;
            }
            if line.is_empty() {
                if !gap {
                    text.push('\n');
                }
                gap = true;
                continue;
            }
            gap = false;
            if std::mem::replace(&mut sign, line == self.comment) && sign {
                continue;
            }
            let mut line = std::borrow::Cow::Borrowed(line);
            for replace in &self.replace {
                if let std::borrow::Cow::Owned(other) =
                    replace.pattern.replace_all(&line, &replace.with)
                {
                    line = other.into();
                }
            }
            text.push_str(&line);
            text.push('\n');
        }
        while text.ends_with("\n\n") {
            text.pop();
        }
        text
    }
}
