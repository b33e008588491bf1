//! What shows that a configuration is whole.

use regex::Regex;

/// Lines with text that the header is looked for in.
const HEAD: usize = 12;

/// What shows that a configuration is whole: everything that a driver names has to hold. That the prompt stood behind the answer,
/// and stood there again when the device was sent an empty line, is asked of every answer and not named here.
#[derive(Clone, Debug, Default)]
pub struct Complete {
    /// The last line that is not empty matches.
    pub(crate) last_line: Option<Regex>,
    /// One of the first lines matches.
    pub(crate) header: Option<Regex>,
    /// Every line that is not empty matches, and there is one.
    pub(crate) every_line: Option<Regex>,
    /// At least one brace, and as many closed as opened.
    pub(crate) braces: bool,
    /// At least one `config`, and each ended by its `end`.
    pub(crate) blocks: bool,
    /// Every command ended with status 0.
    pub(crate) status: bool,
    /// Two readings, one behind the other, are the same: for devices that write nothing at the end.
    pub(crate) twice: bool,
    /// A line that says that something is missing, wherever it stands.
    pub(crate) broken: Option<Regex>,
}

impl Complete {
    /// Whether `lines` carry the evidence; that of `status` and `twice` is for who asked the device.
    pub(crate) fn holds<L: AsRef<str>>(&self, lines: &[L]) -> bool {
        let all = || lines.iter().map(AsRef::as_ref);
        let written = || all().filter(|line: &&str| !line.trim().is_empty());
        let last = |regex: &Regex| {
            written()
                .next_back()
                .is_some_and(|line| regex.is_match(line))
        };
        let header = |regex: &Regex| written().take(HEAD).any(|line| regex.is_match(line));
        let every = |regex: &Regex| {
            written().next().is_some() && written().all(|line| regex.is_match(line))
        };
        let broken = |regex: &Regex| all().any(|line| regex.is_match(line));
        self.last_line.as_ref().is_none_or(last)
            && self.header.as_ref().is_none_or(header)
            && self.every_line.as_ref().is_none_or(every)
            && (!self.braces || balanced(lines))
            && (!self.blocks || closed(lines))
            && !self.broken.as_ref().is_some_and(broken)
    }
}

/// Braces outside of quotes and comments, at least one pair, never more closed than opened, and none left open.
fn balanced<L: AsRef<str>>(lines: &[L]) -> bool {
    let mut open = 0usize;
    let mut pairs = 0usize;
    let mut quoted = false;
    let mut comment = false;
    for line in lines.iter().map(AsRef::as_ref) {
        let mut bytes = line.bytes().peekable();
        let hash = line.trim_start().starts_with('#') && !quoted;
        while let Some(byte) = bytes.next() {
            match byte {
                b'*' if comment && bytes.peek() == Some(&b'/') => comment = false,
                _ if comment || hash => {}
                b'/' if !quoted && bytes.peek() == Some(&b'*') => comment = true,
                b'\\' if quoted => {
                    bytes.next();
                }
                b'"' => quoted = !quoted,
                b'{' if !quoted => open += 1,
                b'}' if !quoted => match open.checked_sub(1) {
                    Some(left) => {
                        open = left;
                        pairs += 1;
                    }
                    None => return false,
                },
                _ => {}
            }
        }
    }
    open == 0 && pairs > 0 && !quoted && !comment
}

/// Each `config …` and `edit …` ended by its `end` and `next`, at least one of them, and no quote left open.
fn closed<L: AsRef<str>>(lines: &[L]) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut some = false;
    let mut quoted = false;
    for line in lines.iter().map(AsRef::as_ref) {
        let inside = quoted;
        quoted ^= is_quote_odd(line);
        if inside {
            continue;
        }
        let line = line.trim();
        let ended = match line.split_whitespace().next() {
            Some("config") => {
                open.push("end");
                some = true;
                continue;
            }
            Some("edit") => {
                open.push("next");
                continue;
            }
            Some("end") if line == "end" => "end",
            Some("next") if line == "next" => "next",
            _ => continue,
        };
        // `end` in a virtual domain's `edit` ends both.
        if ended == "end" && open.last() == Some(&"next") {
            open.pop();
        }
        if open.pop() != Some(ended) {
            return false;
        }
    }
    some && !quoted && open.is_empty()
}

/// Whether a line holds an odd number of quotes that no backslash stands in front of.
#[must_use]
pub fn is_quote_odd(line: &str) -> bool {
    let mut odd = false;
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => odd = !odd,
            _ => {}
        }
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn braces_count_outside_of_quotes_and_comments() {
        assert!(balanced(&lines(
            "system {\n  host-name \"a{b\";\n  /* } */\n}\n"
        )));
        assert!(balanced(&lines("# one } here\nsystem {\n}\n")));
        assert!(!balanced(&lines("system {\n  services {\n  }\n")));
        assert!(!balanced(&lines("}\nsystem {\n")));
        assert!(!balanced(&lines("nothing\n")));
    }

    const BLOCKS: &str = "config system interface\n edit \"port1\"\n  set alias \"a\nend\nb\"\n  config ipv6\n  end\n next\nend\n";

    #[test]
    fn blocks_are_closed_by_their_own_word_and_quotes_hide_it() {
        assert!(closed(&lines(BLOCKS)));
        assert!(closed(&lines(
            "config vdom\nedit root\nconfig system x\nend\nend\n"
        )));
        for bad in [
            "config system global\n set a b\n",
            "config a\nedit 1\nconfig b\nend\nnext\n",
            "end\n",
            "set a b\n",
            "config a\nset b \"c\nend\n",
        ] {
            assert!(!closed(&lines(bad)), "{bad}");
        }
        let all = lines(BLOCKS);
        for count in 0..all.len() {
            assert!(!closed(&all[..count]), "{count} lines");
        }
    }

    #[test]
    fn each_kind_of_evidence_is_wanted_where_it_is_named() {
        let regex = |text: &str| Some(Regex::new(text).unwrap());
        let text = lines("!Command: show\nversion 1\nhostname a\n");
        let header = Complete {
            header: regex("^version "),
            ..Complete::default()
        };
        assert!(header.holds(&text));
        assert!(!header.holds(&lines("hostname a\n")));
        let every = Complete {
            every_line: regex("^set "),
            ..Complete::default()
        };
        assert!(every.holds(&lines("set a\n\nset b\n")));
        assert!(!every.holds(&lines("set a\nse\n")) && !every.holds::<String>(&[]));
        let broken = Complete {
            broken: regex("^#error"),
            ..header
        };
        assert!(broken.holds(&text));
        assert!(!broken.holds(&lines("version 1\n#error exporting /ip\n")));
    }
}
