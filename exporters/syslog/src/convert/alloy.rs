//! Alloy's blocks: `name "label" { key = value … }`.

use super::{Converted, Endpoint, Listener};

#[derive(Debug, Default)]
struct Block {
    name: String,
    attributes: Vec<(String, String)>,
    blocks: Vec<Block>,
}

impl Block {
    fn get(&self, key: &str) -> Option<String> {
        self.attributes
            .iter()
            .find(|a| a.0 == key)
            .map(|a| a.1.clone())
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

/// One value; what is not a plain one is kept as text that tells only that it is there.
fn value(tokens: &mut std::iter::Peekable<std::vec::IntoIter<Token>>) -> Result<String, String> {
    let first = tokens.next().ok_or("expected a value")?;
    let mut text = match &first {
        Token::Word(word) | Token::Text(word) => word.clone(),
        Token::Sign(sign) => sign.to_string(),
    };
    let mut open = i32::from(matches!(first, Token::Sign('{' | '[' | '(')));
    if open == 0 && matches!(tokens.peek(), Some(Token::Sign('('))) {
        tokens.next();
        open = 1;
        text.push('(');
    }
    while open > 0 {
        match tokens.next() {
            None => return Err("expected a closing bracket".to_owned()),
            Some(Token::Sign('{' | '[' | '(')) => open += 1,
            Some(Token::Sign('}' | ']' | ')')) => open -= 1,
            Some(_) => {}
        }
    }
    Ok(text)
}

pub(super) fn read(text: &str) -> Result<Converted, String> {
    let mut tokens = tokens(text)?.into_iter().peekable();
    let root = block(&mut tokens, String::new(), 0)?;
    let mut found = Converted::default();
    for component in &root.blocks {
        match component.name.as_str() {
            "loki.source.syslog" => source(component, &mut found),
            "loki.write" => write(component, &mut found),
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
        found.message_bytes = found
            .message_bytes
            .take()
            .or_else(|| listener.get("max_message_length"));
        found.idle = found.idle.take().or_else(|| listener.get("idle_timeout"));
        for key in [
            "labels",
            "label_structured_data",
            "use_incoming_timestamp",
            "use_rfc5424_message",
            "syslog_format",
        ] {
            if listener.get(key).is_some() {
                found.notes.push(format!(
                    "loki.source.syslog listener.{key} is not carried over"
                ));
            }
        }
    }
    if component.get("relabel_rules").is_some() {
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
        if basic.is_some_and(|b| b.get("password").is_some())
            || endpoint.get("bearer_token").is_some()
        {
            found.notes.push("a loki.write endpoint has a secret in the text: write it into a file and name that".to_owned());
        }
        found.endpoints.push(Endpoint {
            url: endpoint.get("url").unwrap_or_default(),
            fields,
        });
    }
    if component.get("external_labels").is_some() {
        found
            .notes
            .push("loki.write external_labels is not carried over".to_owned());
    }
}
