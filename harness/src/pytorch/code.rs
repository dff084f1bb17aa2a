//! The source code in a TorchScript file: the part of Python that PyTorch writes there, read and not executed.

use crate::error::Problem;
use std::iter::Peekable;
use std::str::Chars;

/// A statement of a method.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `a = value`, or `a, b, = value`.
    Assign(Vec<String>, Expression),
    /// `return value`.
    Return(Expression),
    /// `if condition:`, with both branches.
    If(Expression, Vec<Statement>, Vec<Statement>),
    /// Something else, as it is written: a loop, for instance.
    Other(String),
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A variable, or the beginning of a path.
    Name(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list or tuple.
    List(Vec<Expression>),
    /// `value.name`.
    Attribute(Box<Expression>, String),
    /// `function(arguments)`; the names of named arguments are left out.
    Call(Box<Expression>, Vec<Expression>),
    /// `value[place]`.
    Index(Box<Expression>, Box<Expression>),
}

impl Expression {
    /// `a.b.c` of names and attributes.
    pub fn path(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::Attribute(of, name) => Some(format!("{}.{name}", of.path()?)),
            _ => None,
        }
    }
}

/// A method: its parameters after `self`, and its statements.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// Names of the parameters, `self` first.
    pub parameters: Vec<String>,
    /// Statements in order.
    pub body: Vec<Statement>,
}

/// A method of a class in a source file.
///
/// # Errors
/// When there is none, or it is not written as PyTorch writes.
pub fn method(source: &str, class: &str, name: &str) -> Result<Method, Problem> {
    let lines = logical_lines(source);
    let head = format!("class {class}(");
    let class_at = lines.iter().position(|(_, line)| line.starts_with(&head));
    let class_at = class_at.ok_or_else(|| Problem::from(format!("its code has no class {class}")))?;
    let inside = lines[class_at + 1..].iter().take_while(|(indent, _)| *indent > 0);
    let inside: Vec<&(usize, String)> = inside.collect();
    let head = format!("def {name}(");
    let at = inside.iter().position(|(_, line)| line.starts_with(&head));
    let at = at.ok_or_else(|| Problem::from(format!("its class {class} has no method {name}")))?;
    let (indent, signature) = inside[at];
    let inner = signature[head.len()..].split(") ->").next().unwrap_or_default();
    let parameter = |text: &str| text.split(':').next().unwrap_or_default().trim().to_owned();
    let parameters = top_level(inner)
        .iter()
        .map(|text| parameter(text))
        .filter(|name| !name.is_empty())
        .collect();
    let body: Vec<(usize, String)> = inside[at + 1..]
        .iter()
        .take_while(|(deep, _)| deep > indent)
        .map(|line| (*line).clone())
        .collect();
    Ok(Method {
        parameters,
        body: block(&body)?,
    })
}

/// Lines with their indentation, a statement each: what brackets hold together is put together.
fn logical_lines(source: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = 0_i32;
    for line in source.lines().filter(|line| !line.trim().is_empty()) {
        let deeper: i32 = outside_quotes(line)
            .map(|c| i32::from("([{".contains(c)) - i32::from(")]}".contains(c)))
            .sum();
        match lines.last_mut().filter(|_| open > 0) {
            Some((_, last)) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            None => lines.push((line.len() - line.trim_start().len(), line.trim().to_owned())),
        }
        open += deeper;
    }
    lines
}

fn outside_quotes(line: &str) -> impl Iterator<Item = char> + '_ {
    let mut quoted = false;
    line.chars().filter(move |&c| {
        quoted ^= c == '"';
        !quoted
    })
}

/// The parts of a list between its own commas.
fn top_level(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0_i32);
    for c in text.chars() {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts
                .iter_mut()
                .next_back()
                .into_iter()
                .for_each(|last| last.push(c)),
        }
    }
    parts
}

fn block(lines: &[(usize, String)]) -> Result<Vec<Statement>, Problem> {
    let mut statements = Vec::new();
    let mut at = 0;
    let inner = |from: usize, indent: usize| {
        lines[from..]
            .iter()
            .take_while(|(deep, _)| *deep > indent)
            .count()
    };
    while let Some((indent, line)) = lines.get(at) {
        at += 1;
        if let Some(condition) = line.strip_prefix("if ").and_then(|line| line.strip_suffix(':')) {
            let then = at..at + inner(at, *indent);
            at = then.end;
            let mut otherwise = at..at;
            if lines
                .get(at)
                .is_some_and(|(deep, line)| deep == indent && line == "else:")
            {
                otherwise = at + 1..at + 1 + inner(at + 1, *indent);
                at = otherwise.end;
            }
            statements.push(Statement::If(
                expression(condition)?,
                block(&lines[then])?,
                block(&lines[otherwise])?,
            ));
        } else {
            statements.push(statement(line)?);
        }
    }
    Ok(statements)
}

fn statement(line: &str) -> Result<Statement, Problem> {
    if let Some(value) = line.strip_prefix("return ") {
        return Ok(Statement::Return(expression(value)?));
    }
    let assigned = line.split_once(" = ").filter(|(names, _)| {
        let plain = |c: char| c.is_alphanumeric() || "_, ".contains(c);
        names.chars().all(plain)
    });
    Ok(match assigned {
        Some((names, value)) => {
            let names = names
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty());
            Statement::Assign(names.collect(), expression(value)?)
        }
        None => Statement::Other(line.to_owned()),
    })
}

fn expression(text: &str) -> Result<Expression, Problem> {
    let mut parser = Parser {
        rest: text.chars().peekable(),
        depth: 0,
    };
    let value = parser.value();
    match value {
        Some(value) if parser.next_is_end() => Ok(value),
        _ => Err(Problem::from(format!(
            "its code has a line that is not understood: `{}`",
            text.chars().take(120).collect::<String>()
        ))),
    }
}

/// Expressions nest no deeper than this in any file that PyTorch writes.
const DEEPEST: usize = 200;

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn take(&mut self, wanted: char) -> Option<()> {
        (self.peek()? == wanted).then(|| self.rest.next()).map(|_| ())
    }

    fn next_is_end(&mut self) -> bool {
        self.peek().is_none()
    }

    fn value(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut value = self.start()?;
        while let Some(c) = self.peek() {
            value = match c {
                '.' => {
                    self.take('.')?;
                    Expression::Attribute(Box::new(value), self.word()?)
                }
                '(' => {
                    self.take('(')?;
                    Expression::Call(Box::new(value), self.list(')')?)
                }
                '[' => {
                    self.take('[')?;
                    let place = self.value()?;
                    // `Dict[str, Tensor]`: a type, which nobody asks for.
                    while self.take(',').is_some() {
                        self.value()?;
                    }
                    self.take(']')?;
                    Expression::Index(Box::new(value), Box::new(place))
                }
                _ => break,
            };
        }
        self.depth -= 1;
        Some(value)
    }

    fn start(&mut self) -> Option<Expression> {
        match self.peek()? {
            '(' => {
                self.take('(')?;
                let mut items = self.list(')')?;
                Some(if items.len() == 1 {
                    items.remove(0)
                } else {
                    Expression::List(items)
                })
            }
            '[' => {
                self.take('[')?;
                self.list(']').map(Expression::List)
            }
            '"' => {
                self.take('"')?;
                let mut text = String::new();
                loop {
                    match self.rest.next()? {
                        '"' => return Some(Expression::Text(text)),
                        '\\' => text.extend(self.rest.next()),
                        c => text.push(c),
                    }
                }
            }
            c if c.is_ascii_digit() || c == '-' => self.number(),
            _ => self.word().map(Expression::Name),
        }
    }

    /// Values up to a closing bracket; a comma may follow the last.
    fn list(&mut self, close: char) -> Option<Vec<Expression>> {
        let mut items = Vec::new();
        while self.peek()? != close {
            let item = self.value()?;
            items.push(match self.take('=') {
                Some(()) => self.value()?,
                None => item,
            });
            if self.take(',').is_none() {
                break;
            }
        }
        self.take(close).map(|()| items)
    }

    fn word(&mut self) -> Option<String> {
        self.peek()?;
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
        }
        (!word.is_empty()).then_some(word)
    }

    fn number(&mut self) -> Option<Expression> {
        let mut text = String::new();
        while let Some(c) = self
            .rest
            .next_if(|c| c.is_ascii_alphanumeric() || ".+-".contains(*c))
        {
            text.push(c);
        }
        match text.parse() {
            Ok(whole) => Some(Expression::Int(whole)),
            Err(_) => text.parse().ok().map(Expression::Float),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "class Net(Module):\n  __parameters__ = [\"w\", ]\n  w : Tensor\n  def forward(self: __torch__.Net,\n    \
                          x: Tensor) -> Tensor:\n    w = self.w\n    a, b, = (w, 2)\n    if self.training:\n      y = x\n    else:\n      \
                          y = torch.add(x, -1.5e-3, alpha=1)\n    _0 = annotate(List[int], [])\n    return (self.head).forward(y, )\n  \
                          def other(self: __torch__.Net) -> int:\n    return 3\n";

    #[test]
    fn what_pytorch_writes_is_read() {
        let read = method(SOURCE, "Net", "forward").expect("a method");
        assert_eq!(read.parameters, ["self", "x"]);
        assert_eq!(read.body.len(), 5);
        let Statement::If(condition, then, otherwise) = &read.body[2] else {
            panic!("{:?}", read.body[2]);
        };
        assert_eq!(condition.path().as_deref(), Some("self.training"));
        assert_eq!((then.len(), otherwise.len()), (1, 1));
        let Statement::Assign(_, Expression::Call(function, arguments)) = &otherwise[0] else {
            panic!("{otherwise:?}");
        };
        assert_eq!(function.path().as_deref(), Some("torch.add"));
        assert_eq!(arguments[1..], [Expression::Float(-1.5e-3), Expression::Int(1)]);
        assert!(
            matches!(&read.body[4], Statement::Return(Expression::Call(_, arguments)) if arguments.len() == 1)
        );
        assert_eq!(method(SOURCE, "Net", "other").expect("another").body.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_never_a_panic() {
        let refused = |source: &str, why: &str| {
            let error = method(source, "Net", "forward").expect_err(source).to_string();
            assert!(error.contains(why), "{error}");
        };
        refused("", "no class Net");
        refused("class Net(Module):\n  w : Tensor\n", "no method forward");
        let deep = format!(
            "class Net(Module):\n  def forward(self) -> Tensor:\n    return {}x\n",
            "(".repeat(100_000)
        );
        refused(&deep, "not understood");
        for cut in 0..SOURCE.len() {
            let _ = method(&SOURCE[..cut], "Net", "forward");
        }
    }
}
