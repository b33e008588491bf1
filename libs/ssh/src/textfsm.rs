//! Templates that make records of the answers of show commands, in the form of TextFSM.
//!
//! A template names values and states; a state is a list of rules, each a pattern for a line with what follows from it. The
//! patterns are those of Python, and everything else of <https://github.com/google/textfsm/wiki/TextFSM> is here, so that templates of
//! ntc-templates are read unchanged.

use std::collections::HashMap;

use pattern::Pattern;

mod pattern;

/// Most records of one answer.
const MOST_RECORDS: usize = 100_000;

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the template: {message}")]
pub struct TemplateError {
    /// Number of the line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// What a template read of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// One text; empty when nothing was found.
    Text(String),
    /// One text for each time that it was found.
    List(Vec<String>),
}

impl Value {
    /// The first text that is not empty.
    #[must_use]
    pub fn first(&self) -> Option<&str> {
        let all = match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(list) => list.as_slice(),
        };
        all.iter().map(String::as_str).find(|text| !text.is_empty())
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::List(list) => list.is_empty(),
        }
    }
}

#[derive(Debug, Default)]
struct Wanted {
    name: String,
    filldown: bool,
    fillup: bool,
    required: bool,
    list: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    None,
    Clear,
    ClearAll,
    Write,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    /// Names of its groups that fill a value, and the indices of those.
    groups: Vec<String>,
    fills: Vec<usize>,
    more: bool,
    fails: bool,
    record: Record,
    next: Option<Next>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    State(usize),
    End,
    Eof,
}

/// A checked template.
#[derive(Debug)]
pub struct Template {
    values: Vec<Wanted>,
    states: Vec<Vec<Rule>>,
    start: usize,
    /// Whether the end of the answer is a state of its own, so that it writes no record by itself.
    eof: bool,
}

/// A record that is being put together.
#[derive(Debug, Default, Clone)]
struct Cell {
    text: Option<String>,
    list: Vec<String>,
    kept: Option<String>,
}

impl Template {
    /// The template in `text`.
    ///
    /// # Errors
    /// The text is no template, or a pattern is none.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut lines = text.lines().enumerate();
        let (values, patterns) = values(&mut lines)?;
        let mut raw: Vec<(String, Vec<(usize, &str)>)> = Vec::new();
        let mut open = false;
        for (number, line) in lines {
            let line = line.trim_end();
            let error = |message: &str| TemplateError {
                line: number + 1,
                message: message.to_owned(),
            };
            if line.trim_start().starts_with('#') {
                continue;
            }
            if line.is_empty() {
                open = false;
            } else if line.starts_with([' ', '\t']) {
                let rule = line.trim_start();
                match raw.last_mut().filter(|_| open) {
                    Some((_, rules)) if rule.starts_with('^') => rules.push((number, rule)),
                    Some(_) => return Err(error("expected a rule that begins with ^")),
                    None => return Err(error("expected the name of a state")),
                }
            } else {
                let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if !line.chars().all(name) || raw.iter().any(|(other, _)| other == line) {
                    return Err(error("expected the name of a further state"));
                }
                raw.push((line.to_owned(), Vec::new()));
                open = true;
            }
        }
        let states: HashMap<String, usize> = raw
            .iter()
            .enumerate()
            .map(|(number, (name, _))| (name.clone(), number))
            .collect();
        let start = states.get("Start").copied().ok_or(TemplateError {
            line: 1,
            message: "expected a state Start".to_owned(),
        })?;
        let eof = states.contains_key("EOF");
        let compiled = raw.iter().map(|(_, rules)| {
            let one = |&(number, line): &(usize, &str)| {
                rule(line, &values, &patterns, &states).map_err(|message| TemplateError {
                    line: number + 1,
                    message,
                })
            };
            rules.iter().map(one).collect::<Result<Vec<_>, _>>()
        });
        let compiled = compiled.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            values,
            states: compiled,
            start,
            eof,
        })
    }

    /// Whether it has a value of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.iter().any(|value| value.name == name)
    }

    /// The names of its values, in the order of a record.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|value| value.name.as_str())
    }

    /// The records of an answer; `None` when a rule of the template says that it is none (`-> Error`).
    #[must_use]
    pub fn records<L: AsRef<str>>(&self, lines: &[L]) -> Option<Vec<Vec<Value>>> {
        let mut cells = vec![Cell::default(); self.values.len()];
        let mut records = Vec::new();
        let mut state = self.start;
        let mut ended = false;
        'lines: for line in lines {
            for rule in &self.states[state] {
                let Some(found) = rule.pattern.found(&rule.groups, line.as_ref()) else {
                    continue;
                };
                for (text, index) in found.into_iter().zip(&rule.fills) {
                    self.fill(*index, text.map(str::to_owned), &mut cells, &mut records);
                }
                if rule.fails {
                    return None;
                }
                match rule.record {
                    Record::None => {}
                    Record::Clear => self.clear(&mut cells),
                    Record::ClearAll => cells.fill(Cell::default()),
                    Record::Write => self.record(&mut cells, &mut records),
                }
                if rule.more {
                    continue;
                }
                match rule.next {
                    Some(Next::State(next)) => state = next,
                    Some(Next::End) => {
                        ended = true;
                        break 'lines;
                    }
                    Some(Next::Eof) => break 'lines,
                    None => {}
                }
                break;
            }
            if records.len() > MOST_RECORDS {
                return None;
            }
        }
        if !ended && !self.eof {
            self.record(&mut cells, &mut records);
        }
        Some(records)
    }

    fn fill(
        &self,
        index: usize,
        text: Option<String>,
        cells: &mut [Cell],
        records: &mut [Vec<Value>],
    ) {
        let wanted = &self.values[index];
        if wanted.list {
            // What a line leaves out keeps its place, so that lists of one record stay side by side.
            cells[index].list.push(text.clone().unwrap_or_default());
        }
        if wanted.filldown {
            cells[index].kept.clone_from(&text);
        }
        if let (true, Some(text)) = (wanted.fillup, &text)
            && !text.is_empty()
        {
            for record in records.iter_mut().rev() {
                if !record[index].is_empty() {
                    break;
                }
                record[index] = Value::Text(text.clone());
            }
        }
        cells[index].text = text;
    }

    fn clear(&self, cells: &mut [Cell]) {
        for (wanted, cell) in self.values.iter().zip(cells) {
            cell.text = cell.kept.clone();
            if !wanted.filldown {
                cell.list.clear();
            }
        }
    }

    fn record(&self, cells: &mut [Cell], records: &mut Vec<Vec<Value>>) {
        let mut record = Vec::new();
        let mut some = false;
        for (wanted, cell) in self.values.iter().zip(&*cells) {
            let value = match wanted.list {
                true => Value::List(cell.list.clone()),
                false => Value::Text(cell.text.clone().unwrap_or_default()),
            };
            if wanted.required && value.is_empty() {
                return self.clear(cells);
            }
            some |= if wanted.list {
                !cell.list.is_empty()
            } else {
                cell.text.is_some()
            };
            record.push(value);
        }
        if !some {
            return;
        }
        records.push(record);
        self.clear(cells);
    }
}

type Numbered<'a> = std::iter::Enumerate<std::str::Lines<'a>>;

/// The values, up to the first empty line, and the pattern of each.
fn values(
    lines: &mut Numbered<'_>,
) -> Result<(Vec<Wanted>, HashMap<String, String>), TemplateError> {
    let mut values: Vec<Wanted> = Vec::new();
    let mut patterns = HashMap::new();
    for (number, line) in lines {
        let line = line.trim_end();
        if line.trim_start().starts_with('#') {
            continue;
        }
        if line.is_empty() {
            break;
        }
        let error = || TemplateError {
            line: number + 1,
            message: "expected Value [OPTIONS] NAME (PATTERN)".to_owned(),
        };
        let rest = line.strip_prefix("Value ").ok_or_else(error)?.trim_start();
        let (head, pattern) = rest.split_once('(').ok_or_else(error)?;
        let words: Vec<&str> = head.split_whitespace().collect();
        let (options, name) = match words[..] {
            [name] => ("", name),
            [options, name] => (options, name),
            _ => return Err(error()),
        };
        let mut wanted = Wanted {
            name: name.to_owned(),
            ..Wanted::default()
        };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            match option {
                "Filldown" => wanted.filldown = true,
                "Fillup" => wanted.fillup = true,
                "Required" => wanted.required = true,
                "List" => wanted.list = true,
                "Key" => {}
                _ => return Err(error()),
            }
        }
        if patterns.contains_key(name) {
            return Err(error());
        }
        patterns.insert(name.to_owned(), format!("(?P<{name}>{pattern}"));
        values.push(wanted);
    }
    Ok((values, patterns))
}

/// One rule: a pattern, and behind ` -> ` what follows.
fn rule(
    line: &str,
    values: &[Wanted],
    patterns: &HashMap<String, String>,
    states: &HashMap<String, usize>,
) -> Result<Rule, String> {
    let (text, action) = match line.rsplit_once(" ->") {
        Some((text, action)) => (text.trim_end(), action.trim()),
        None => (line, ""),
    };
    let pattern = pattern::filled(text, patterns)?;
    let pattern = Pattern::parse(&pattern)?;
    let fills = |name: &str| values.iter().position(|value| value.name == name);
    let known = pattern.names().into_iter();
    let (groups, fills) = known
        .filter_map(|name| Some((name.to_owned(), fills(name)?)))
        .unzip();
    let mut rule = Rule {
        pattern,
        groups,
        fills,
        more: false,
        fails: false,
        record: Record::None,
        next: None,
    };
    let (word, next) = match action.split_once(char::is_whitespace) {
        Some((word, next)) => (word, next.trim()),
        None => (action, ""),
    };
    let mut state = next;
    for part in word.split('.').filter(|part| !part.is_empty()) {
        match part {
            "Continue" => rule.more = true,
            "Next" | "NoRecord" => {}
            "Error" => {
                rule.fails = true;
                state = "";
            }
            "Clear" => rule.record = Record::Clear,
            "Clearall" => rule.record = Record::ClearAll,
            "Record" => rule.record = Record::Write,
            _ if next.is_empty() => state = part,
            _ => return Err(format!("expected an action, found {part}")),
        }
    }
    if !state.is_empty() {
        if rule.more {
            return Err("expected no further state behind Continue".to_owned());
        }
        rule.next = Some(match state {
            "End" => Next::End,
            "EOF" => Next::Eof,
            _ => match states.get(state) {
                Some(number) => Next::State(*number),
                None => return Err(format!("expected the name of a state, found {state}")),
            },
        });
    }
    Ok(rule)
}

#[cfg(test)]
mod tests;
