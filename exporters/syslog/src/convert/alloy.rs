//! Alloy's blocks: `name "label" { key = value … }`.

use super::{Converted, Endpoint, Listener, reason, stage_reason};

/// The value of an attribute.
#[derive(Debug, Default)]
struct Value {
    /// The value, when it is a plain one.
    plain: Option<String>,
    /// The texts of a list, or the keys of an object.
    inner: Vec<String>,
}

#[derive(Debug, Default)]
struct Block {
    name: String,
    attributes: Vec<(String, Value)>,
    blocks: Vec<Block>,
}

impl Block {
    fn get(&self, key: &str) -> Option<String> {
        self.attributes
            .iter()
            .find(|a| a.0 == key)
            .and_then(|a| a.1.plain.clone())
    }

    /// The texts of a list, or the keys of an object.
    fn items(&self, key: &str) -> &[String] {
        let found = self.attributes.iter().find(|a| a.0 == key);
        found.map_or(&[], |a| &a.1.inner)
    }

    fn has(&self, key: &str) -> bool {
        self.attributes.iter().any(|a| a.0 == key)
    }

    /// Notes what is neither known nor plain; `place` names the block.
    fn note_others(
        &self,
        place: &str,
        attributes: &[&str],
        blocks: &[&str],
        into: &mut Vec<String>,
    ) {
        for (key, value) in &self.attributes {
            if !attributes.contains(&key.as_str()) {
                into.push(format!(
                    "{place}.{key} is not carried over: {}",
                    reason(key)
                ));
            } else if value.plain.is_none() && value.inner.is_empty() {
                into.push(format!(
                    "{place}.{key} is an expression: write its value by hand"
                ));
            }
        }
        for block in &self.blocks {
            if !blocks.contains(&block.name.as_str()) {
                into.push(format!(
                    "{place}.{} is not carried over: {}",
                    block.name,
                    reason(&block.name)
                ));
            }
        }
    }

    fn inner<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |b| b.name == name)
    }
}

/// Deepest nesting that is read.
const DEPTH: usize = 32;

#[derive(Debug, PartialEq, Clone)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            rest = rest.trim_start();
        } else if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |r| r.1);
        } else if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |r| r.1);
        } else if let Some(raw) = rest.strip_prefix('`') {
            let (value, behind) = raw.split_once('`').ok_or("expected a closing backtick")?;
            found.push(Token::Text(value.to_owned()));
            rest = behind;
        } else if c == '"' {
            let mut value = String::new();
            let mut chars = rest[1..].char_indices();
            let end = loop {
                match chars.next() {
                    None => return Err("expected a closing quote".to_owned()),
                    Some((at, '"')) => break at + 2,
                    Some((_, '\\')) => value.extend(chars.next().map(|c| c.1)),
                    Some((_, c)) => value.push(c),
                }
            };
            found.push(Token::Text(value));
            rest = &rest[end..];
        } else if c.is_alphanumeric() || c == '_' || c == '-' {
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-')))
                .unwrap_or(rest.len());
            found.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            found.push(Token::Sign(c));
            rest = &rest[c.len_utf8()..];
        }
    }
    Ok(found)
}

fn block(
    tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>,
    name: String,
    depth: usize,
) -> Result<Block, String> {
    if depth > DEPTH {
        return Err("blocks are nested too deeply".to_owned());
    }
    let mut block = Block {
        name,
        ..Block::default()
    };
    loop {
        match tokens.next() {
            None if depth == 0 => return Ok(block),
            Some(Token::Sign('}')) if depth > 0 => return Ok(block),
            Some(Token::Word(word)) => {
                if let Some(Token::Text(_)) = tokens.peek() {
                    tokens.next();
                }
                match tokens.next() {
                    Some(Token::Sign('{')) => {
                        block.blocks.push(self::block(tokens, word, depth + 1)?);
                    }
                    Some(Token::Sign('=')) => {
                        let value = value(tokens)?;
                        block.attributes.push((word, value));
                    }
                    other => {
                        return Err(format!("expected {{ or = behind {word}, found {other:?}"));
                    }
                }
            }
            other => return Err(format!("expected a name or }}, found {other:?}")),
        }
    }
}

/// One value; it is no plain one when it is a list, an object or an expression.
fn value(tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>) -> Result<Value, String> {
    const OPERATORS: [char; 13] = [
        '+', '*', '/', '%', '^', '=', '!', '<', '>', '&', '|', '(', '[',
    ];
    let mut plain = None;
    let mut inner = Vec::new();
    let mut parts = 0;
    loop {
        let first = tokens.next().ok_or("expected a value")?;
        parts += 1;
        match &first {
            Token::Text(text) => plain = Some(text.clone()),
            // Any other word, as in `local.file.token.content`, has its value only where Alloy runs.
            Token::Word(word) => {
                let literal = word.parse::<f64>().is_ok() || word == "true" || word == "false";
                plain = literal.then(|| word.clone());
            }
            Token::Sign(bracket @ ('{' | '[' | '(')) => {
                parts += 1;
                let mut open = 1;
                while open > 0 {
                    let token = tokens.next().ok_or("expected a closing bracket")?;
                    match token {
                        Token::Sign('{' | '[' | '(') => open += 1,
                        Token::Sign('}' | ']' | ')') => open -= 1,
                        Token::Text(text) | Token::Word(text)
                            if open == 1
                                && (*bracket == '['
                                    || tokens.peek() == Some(&Token::Sign('='))) =>
                        {
                            inner.push(text);
                        }
                        _ => {}
                    }
                }
            }
            // A sign before its value.
            Token::Sign(_) => {
                parts += 1;
                continue;
            }
        }
        match tokens.peek() {
            Some(Token::Sign(sign)) if OPERATORS.contains(sign) => {
                parts += 1;
                if !matches!(sign, '(' | '[') {
                    tokens.next();
                }
            }
            _ => break,
        }
    }
    let plain = plain.filter(|_| parts == 1);
    Ok(Value { plain, inner })
}

pub(super) fn read(text: &str) -> Result<Converted, String> {
    let mut tokens = tokens(text)?.into_iter().peekable();
    let root = block(&mut tokens, String::new(), 0)?;
    let mut found = Converted::default();
    for component in &root.blocks {
        match component.name.as_str() {
            "loki.source.syslog" => source(component, &mut found),
            "loki.write" => write(component, &mut found),
            "loki.process" => {
                for stage in &component.blocks {
                    if matches!(&*stage.name, "stage.labels" | "stage.static_labels") {
                        for label in stage.items("values") {
                            found.label("", label);
                        }
                        continue;
                    }
                    found.notes.push(format!(
                        "loki.process {} is not carried over: {}",
                        stage.name,
                        stage_reason(stage.name.trim_start_matches("stage."))
                    ));
                }
            }
            place @ ("loki.relabel" | "discovery.relabel") => {
                for rule in component.inner("rule") {
                    found.rule(
                        &format!("{place} rule"),
                        rule.get("action").as_deref().unwrap_or("replace"),
                        &rule.items("source_labels").join(", "),
                        &rule.get("target_label").unwrap_or_default(),
                    );
                }
            }
            other => found.notes.push(format!("{other} is not carried over")),
        }
    }
    Ok(found)
}

fn source(component: &Block, found: &mut Converted) {
    for listener in component.inner("listener") {
        let tls = listener.inner("tls_config").next();
        let file = |key: &str| tls.and_then(|t| t.get(key));
        found.listeners.push(Listener {
            address: listener.get("address").unwrap_or_default(),
            udp: listener.get("protocol").as_deref() == Some("udp"),
            tls: file("cert_file")
                .zip(file("key_file"))
                .map(|(cert, key)| (cert, key, file("ca_file"))),
        });
        found.limit(
            listener.get("max_message_length"),
            listener.get("idle_timeout"),
        );
        for label in listener.items("labels") {
            found.label("", label);
        }
        listener.note_others(
            "loki.source.syslog listener",
            &[
                "address",
                "protocol",
                "max_message_length",
                "idle_timeout",
                "labels",
            ],
            &["tls_config"],
            &mut found.notes,
        );
        if let Some(tls) = tls {
            tls.note_others(
                "loki.source.syslog listener.tls_config",
                &["cert_file", "key_file", "ca_file"],
                &[],
                &mut found.notes,
            );
        }
    }
    if component.has("relabel_rules") {
        found.notes.push(
            "loki.source.syslog relabel_rules is not carried over: labels come from the inventory"
                .to_owned(),
        );
    }
}

fn write(component: &Block, found: &mut Converted) {
    for endpoint in component.inner("endpoint") {
        let mut fields = Vec::new();
        let mut take =
            |key: &str, value: Option<String>| fields.extend(value.map(|v| (key.to_owned(), v)));
        let basic = endpoint.inner("basic_auth").next();
        let tls = endpoint.inner("tls_config").next();
        take("tenant", endpoint.get("tenant_id"));
        take("basic_auth.username", basic.and_then(|b| b.get("username")));
        take(
            "basic_auth.password_file",
            basic.and_then(|b| b.get("password_file")),
        );
        take("bearer_token_file", endpoint.get("bearer_token_file"));
        take("ca_file", tls.and_then(|t| t.get("ca_file")));
        take("cert_file", tls.and_then(|t| t.get("cert_file")));
        take("key_file", tls.and_then(|t| t.get("key_file")));
        take("timeout", endpoint.get("remote_timeout"));
        take("batch_age", endpoint.get("batch_wait"));
        if basic.is_some_and(|b| b.has("password")) || endpoint.has("bearer_token") {
            found.notes.push("a loki.write endpoint has a secret in the text: write it into a file and name that".to_owned());
        }
        endpoint.note_others(
            "loki.write endpoint",
            &[
                "url",
                "tenant_id",
                "bearer_token",
                "bearer_token_file",
                "remote_timeout",
                "batch_wait",
            ],
            &["basic_auth", "tls_config"],
            &mut found.notes,
        );
        if let Some(basic) = basic {
            basic.note_others(
                "loki.write endpoint.basic_auth",
                &["username", "password", "password_file"],
                &[],
                &mut found.notes,
            );
        }
        if let Some(tls) = tls {
            tls.note_others(
                "loki.write endpoint.tls_config",
                &["ca_file", "cert_file", "key_file"],
                &[],
                &mut found.notes,
            );
        }
        found.endpoints.push(Endpoint {
            url: endpoint.get("url").unwrap_or_default(),
            fields,
        });
    }
    component.note_others("loki.write", &[], &["endpoint"], &mut found.notes);
}
