//! Panel actions: what a button on a panel may ask Grafana for.

use http::{Method, StatusCode};

use super::{Answer, Whole, answer};

/// With `X-Grafana-Action` only POST and PUT pass, and only to paths that a glob allows; everything else is 405.
pub(super) fn check(allowed: &[String], request: &Whole) -> Result<(), Box<Answer>> {
    let marked = request.headers().get("x-grafana-action");
    if marked.is_none_or(|value| value.is_empty()) {
        return Ok(());
    }
    let refused = |what: &str| {
        let text = format!("{what} not allowed for path {}", request.uri());
        Err(Box::new(answer::text(
            StatusCode::METHOD_NOT_ALLOWED,
            &text,
        )))
    };
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return refused("method");
    }
    if allowed
        .iter()
        .any(|glob| matches(glob, request.uri().path()))
    {
        Ok(())
    } else {
        refused("method POST/PUT")
    }
}

/// `*` stands for any characters, slashes too, `?` for one. The rest of the glob language is refused in the setup.
pub(super) fn matches(glob: &str, path: &str) -> bool {
    let (glob, path): (Vec<char>, Vec<char>) = (glob.chars().collect(), path.chars().collect());
    // Where a match could go on after a star: its place in the glob, and how much of the path it has taken.
    let (mut g, mut p, mut star) = (0, 0, None);
    while p < path.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, p));
                g += 1;
            }
            Some(c) if *c == '?' || *c == path[p] => {
                g += 1;
                p += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    g = at + 1;
                    p = taken + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}
