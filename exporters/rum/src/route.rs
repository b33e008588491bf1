//! Routes: which addresses of pages are one and the same page.

/// A pattern of paths: `/d/{uid}/**`. `{name}` is a segment that is kept, `*` one that is not, `**` at the end all that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Exact(Box<str>),
    Kept,
    Any,
    Rest,
}

/// Longest kept segment, bytes.
const LONGEST: usize = 64;
/// The route of everything that no pattern matches, or for which there is no room.
pub const OTHER: &str = "other";

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a path such as /d/{{uid}}/**, found {text:?}");
        let rest = text.strip_prefix('/').ok_or_else(wrong)?;
        if text.len() > 256 || text.contains(['?', '#', ' ']) || text.contains(char::is_control) {
            return Err(wrong());
        }
        let segments: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
        let mut parts = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            let named = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            parts.push(match (*segment, named) {
                ("**", _) if index + 1 == segments.len() => Part::Rest,
                ("*", _) => Part::Any,
                (_, Some(name))
                    if !name.is_empty()
                        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') =>
                {
                    Part::Kept
                }
                (exact, None) if !exact.contains(['*', '{', '}']) => Part::Exact(exact.into()),
                _ => return Err(wrong()),
            });
        }
        Ok(Self(parts))
    }

    /// The route of a path, when it matches: `/d/sotp-now` of `/d/sotp-now/network-now`.
    #[must_use]
    pub fn route(&self, path: &str) -> Option<String> {
        let mut segments = path.split('/').filter(|part| !part.is_empty());
        let mut route = String::new();
        for part in &self.0 {
            if *part == Part::Rest {
                return Some(if route.is_empty() {
                    "/".to_owned()
                } else {
                    route
                });
            }
            let segment = segments.next()?;
            let shown = match part {
                Part::Exact(exact) if **exact == *segment => segment,
                Part::Kept if is_kept(segment) => segment,
                Part::Any => "*",
                _ => return None,
            };
            route.push('/');
            route.push_str(shown);
        }
        if segments.next().is_some() {
            return None;
        }
        Some(if route.is_empty() {
            "/".to_owned()
        } else {
            route
        })
    }
}

/// Whether a segment may become a part of a label.
fn is_kept(segment: &str) -> bool {
    segment.len() <= LONGEST
        && segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The path of an address, without host, query and fragment; `None` when it is no http or https address.
#[must_use]
pub fn path(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    Some(rest.find('/').map_or("/", |at| &rest[at..]))
}

/// The route of the page at `url` by the first pattern that matches; [`OTHER`] without one.
#[must_use]
pub fn route(patterns: &[Pattern], url: &str) -> String {
    path(url)
        .and_then(|path| patterns.iter().find_map(|pattern| pattern.route(path)))
        .unwrap_or_else(|| OTHER.to_owned())
}

/// A text in which no address has its query or fragment any more: they hold names of people, and tokens.
#[must_use]
pub fn scrubbed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '<' | '>'))
            .unwrap_or(after.len());
        let (address, next) = after.split_at(end);
        // Before an @ stand a user and a password.
        let (shown, cut) = match address.find(['?', '#']) {
            Some(at) => (&address[..at], "?…"),
            None => (address, ""),
        };
        let authority = shown.find('/').unwrap_or(shown.len());
        let shown = shown[..authority]
            .rfind('@')
            .map_or(shown, |at| &shown[at + 1..]);
        out.push_str(shown);
        out.push_str(cut);
        rest = next;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_become_routes() {
        let patterns: Vec<Pattern> = [
            "/",
            "/login",
            "/d/{uid}/**",
            "/a/{app}/{page}/**",
            "/users/*/profile",
        ]
        .iter()
        .map(|text| Pattern::parse(text).unwrap())
        .collect();
        for (url, expected) in [
            (
                "https://g.example.net/d/sotp-now/network-now?var-device=r1&from=now",
                "/d/sotp-now",
            ),
            ("https://g.example.net/d/sotp-now", "/d/sotp-now"),
            ("http://g:3000/", "/"),
            ("http://g:3000", "/"),
            ("http://g:3000/login#x", "/login"),
            ("http://g/a/sotp-app/devices/r1/edit", "/a/sotp-app/devices"),
            ("http://g/users/alice/profile", "/users/*/profile"),
            ("http://g/users/alice", "other"),
            ("http://g/d/%2e%2e/x", "other"),
            ("http://g/d/name with blank", "other"),
            ("file:///etc/passwd", "other"),
            ("", "other"),
        ] {
            assert_eq!(route(&patterns, url), expected, "{url}");
        }
        assert_eq!(
            Pattern::parse("/**").unwrap().route("/x/y").as_deref(),
            Some("/")
        );
        for text in ["d", "", "/a/**/b", "/a*", "/{}", "/a?b", "/{a b}"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn queries_and_passwords_are_no_part_of_a_text() {
        assert_eq!(
            scrubbed(
                "failed to fetch https://u:hunter2@g.example.net/api?token=hunter2 (at http://g/x.js:1:2)"
            ),
            "failed to fetch https://g.example.net/api?… (at http://g/x.js:1:2)"
        );
        assert_eq!(scrubbed("no address ? here"), "no address ? here");
        assert_eq!(scrubbed("a://?x b://y#z"), "a://?… b://y?…");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_scrubbing_is_done_once(text in ".{0,80}", url in "(https?://)?[a-z/?#@%.{}*]{0,40}") {
            let once = scrubbed(&text);
            prop_assert!(once.len() <= text.len() + 4 * text.matches("://").count());
            let _ = route(&[Pattern::parse("/{a}/**").unwrap()], &url);
        }
    }
}
