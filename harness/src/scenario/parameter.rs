//! `[params]`, `[matrix]` and `--set`: the values of a case, and putting them where `${name}` stands.
//!
//! A text that is nothing but `${name}` becomes the value with its type; inside a longer text the value's
//! text is put in. `$${` stands for `${` itself. A value keeps the place where it is used. Values are plain:
//! no tables, no references to other parameters.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, Diagnostics, Place};
use super::document::{Entry, Node, Value, parse};
use super::suggest;

/// Most cases of a matrix.
const CASES_MAX: usize = 256;

/// The parameters of a document, ready to make cases.
pub(crate) struct Parameters {
    values: BTreeMap<String, Entry>,
    matrix: BTreeMap<String, (Entry, Vec<Node>)>,
    /// Names whose values were wrong: using them is no further mistake.
    broken: BTreeSet<String>,
}

/// The values of one case.
pub(crate) struct CaseValues {
    /// The values that come from the matrix: `workers=3,partitions=6`.
    pub(crate) label: String,
    values: BTreeMap<String, Node>,
    broken: BTreeSet<String>,
}

/// Why a text with `${…}` in it has no value.
enum Unresolved {
    /// It is wrong: what to say, and a hint.
    Mistake(String, String),
    /// What is wrong was said where the parameter is defined.
    Follows,
}

impl Parameters {
    /// Takes `[params]` and `[matrix]` out of the document and applies the overrides, `name` and value.
    pub(crate) fn take(
        root: &mut Node,
        overrides: &[(String, String)],
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut broken = BTreeSet::new();
        let mut values = take_table(root, "params", diagnostics);
        values.retain(|name, entry| match entry.node.value {
            _ if entry.node.faulty => {
                broken.insert(name.clone());
                false
            }
            Value::Table(_) => {
                broken.insert(name.clone());
                let text = format!("the parameter `{name}` is a table");
                diagnostics
                    .push(Diagnostic::error(entry.node.place.clone(), text).hint("make one for each value"));
                false
            }
            _ => true,
        });
        let mut matrix = BTreeMap::new();
        for (name, entry) in take_table(root, "matrix", diagnostics) {
            let list = entry.node.array().to_vec();
            if list.is_empty()
                || list.iter().any(|node| matches!(node.value, Value::Table(_) | Value::Array(_)))
            {
                let text = format!("`{name}` needs a list of plain values, one case each");
                let hint = format!("{name} = [1, 3]");
                diagnostics.push(Diagnostic::error(entry.node.place.clone(), text).hint(hint));
                broken.insert(name);
            } else if values.contains_key(&name) {
                let text = format!("`{name}` is in [params] and in [matrix]");
                diagnostics.push(Diagnostic::error(entry.key.clone(), text).hint("keep one of them"));
            } else {
                matrix.insert(name, (entry, list));
            }
        }
        let mut parameters = Self { values, matrix, broken };
        for (name, text) in overrides {
            parameters.set(name, text, diagnostics);
        }
        parameters
    }

    /// Gives a parameter another value, or narrows the matrix to one.
    fn set(&mut self, name: &str, text: &str, diagnostics: &mut Diagnostics) {
        let node = override_node(name, text, diagnostics);
        if let Some(entry) = self.values.get_mut(name) {
            entry.node = node;
        } else if let Some((_, list)) = self.matrix.get_mut(name) {
            *list = vec![node];
        } else {
            let mistake = Diagnostic::error(node.place, format!("the scenario has no parameter `{name}`"));
            let known = self.values.keys().chain(self.matrix.keys()).map(String::as_str);
            let hint = suggest::hint(name, known);
            diagnostics.push(mistake.hint(hint.unwrap_or("it has neither [params] nor [matrix]".to_owned())));
        }
    }

    /// Every combination of the matrix; one case without a matrix.
    pub(crate) fn cases(&self, diagnostics: &mut Diagnostics) -> Vec<CaseValues> {
        let sizes = self.matrix.values().map(|(_, list)| list.len());
        let count = sizes.fold(1, |product: usize, size| product.saturating_mul(size));
        if count > CASES_MAX {
            let place = self.matrix.values().next().map(|(entry, _)| entry.key.clone());
            let text = format!("the matrix has {count} cases, more than {CASES_MAX}");
            diagnostics.push(Diagnostic::error(place, text).hint("split the scenario, or shorten the lists"));
            return Vec::new();
        }
        let base = self.values.iter().map(|(name, entry)| (name.clone(), entry.node.clone())).collect();
        let mut cases = vec![CaseValues { label: String::new(), values: base, broken: self.broken.clone() }];
        for (name, (_, list)) in &self.matrix {
            let combine = |case: &CaseValues| {
                let with = |node: &Node| case.with(name, node);
                list.iter().map(with).collect::<Vec<_>>()
            };
            cases = cases.iter().flat_map(combine).collect();
        }
        cases
    }

    /// Warns of parameters that nothing used.
    pub(crate) fn warn_of_unused(&self, used: &BTreeSet<String>, diagnostics: &mut Diagnostics) {
        let all = self.values.iter().chain(self.matrix.iter().map(|(name, (entry, _))| (name, entry)));
        for (name, entry) in all.filter(|(name, _)| !used.contains(*name)) {
            let text = format!("the parameter `{name}` is never used");
            let hint = format!("use it as \"${{{name}}}\", or remove it");
            diagnostics.push(Diagnostic::warning(entry.key.clone(), text).hint(hint));
        }
    }
}

impl CaseValues {
    fn with(&self, name: &str, node: &Node) -> Self {
        let comma = if self.label.is_empty() { "" } else { "," };
        let label = format!("{}{comma}{name}={}", self.label, plain_text(node).unwrap_or_default());
        let mut values = self.values.clone();
        values.insert(name.to_owned(), node.clone());
        Self { label, values, broken: self.broken.clone() }
    }

    /// Puts the values where `root` refers to them and notes which were used.
    pub(crate) fn substitute(
        &self,
        root: &mut Node,
        used: &mut BTreeSet<String>,
        diagnostics: &mut Diagnostics,
    ) {
        match &mut root.value {
            Value::Array(array) => array.iter_mut().for_each(|node| self.substitute(node, used, diagnostics)),
            Value::Table(table) => {
                table.values_mut().for_each(|entry| self.substitute(&mut entry.node, used, diagnostics));
            }
            Value::String(text) if text.contains("${") => {
                let text = std::mem::take(text);
                match self.resolve(&text, used) {
                    Ok(value) => {
                        root.value = value;
                        return;
                    }
                    Err(Unresolved::Mistake(message, hint)) => {
                        diagnostics.push(Diagnostic::error(root.place.clone(), message).hint(hint));
                    }
                    Err(Unresolved::Follows) => {}
                }
                root.faulty = true;
            }
            _ => {}
        }
    }

    /// The value a text with `${…}` in it stands for.
    fn resolve(&self, text: &str, used: &mut BTreeSet<String>) -> Result<Value, Unresolved> {
        let whole = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        if let Some(name) = whole.filter(|name| !name.contains(['$', '{', '}'])) {
            return Ok(self.find(name, used)?.value.clone());
        }
        let mut result = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(literal) = before.strip_suffix('$') {
                result.push_str(literal);
                result.push_str("${");
                rest = after;
                continue;
            }
            let unclosed = || mistake("a `${` without its `}`", "`$${` stands for `${` itself");
            let (name, behind) = after.split_once('}').ok_or_else(unclosed)?;
            let list = || {
                let text = format!("`{name}` is a list and cannot stand inside a text");
                mistake(text, format!("write \"${{{name}}}\" alone"))
            };
            result.push_str(before);
            result.push_str(&plain_text(self.find(name, used)?).ok_or_else(list)?);
            rest = behind;
        }
        result.push_str(rest);
        Ok(Value::String(result))
    }

    fn find(&self, name: &str, used: &mut BTreeSet<String>) -> Result<&Node, Unresolved> {
        used.insert(name.to_owned());
        if self.broken.contains(name) {
            return Err(Unresolved::Follows);
        }
        self.values.get(name).ok_or_else(|| {
            let hint = suggest::hint(name, self.values.keys().map(String::as_str));
            let add = || format!("add it to [params]: {name} = …");
            mistake(format!("unknown parameter `{name}`"), hint.unwrap_or_else(add))
        })
    }
}

fn mistake(message: impl Into<String>, hint: impl Into<String>) -> Unresolved {
    Unresolved::Mistake(message.into(), hint.into())
}

/// A value as text; `None` for lists and tables.
fn plain_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Array(_) | Value::Table(_) => None,
    }
}

/// Takes the table `key` out of the document.
fn take_table(root: &mut Node, key: &str, diagnostics: &mut Diagnostics) -> BTreeMap<String, Entry> {
    let Some(entry) = root.table_mut().and_then(|table| table.remove(key)) else { return BTreeMap::new() };
    let found = entry.node.type_name();
    match entry.node.value {
        Value::Table(table) => table,
        _ => {
            let text = format!("expected a table, found {found}");
            diagnostics.push(Diagnostic::error(entry.node.place, text).hint(format!("[{key}]")));
            BTreeMap::new()
        }
    }
}

/// The value of `--set name=text`: TOML if it is that, or else the text itself.
fn override_node(name: &str, text: &str, diagnostics: &mut Diagnostics) -> Node {
    let mut trial = Diagnostics::default();
    let source = trial.add_source("--set", format!("v={text}"));
    let parsed = parse(source, &mut trial).filter(|_| !trial.has_errors());
    let value = parsed.and_then(|root| Some(root.get("v")?.value.clone()));
    let plain = value.filter(|value| !matches!(value, Value::Table(_)) && !text.contains('\n'));
    let source = diagnostics.add_source("--set", format!("{name}={text}"));
    let place = Place::new(source, 0..name.len());
    Node::new(plain.unwrap_or_else(|| Value::String(text.to_owned())), place)
}
