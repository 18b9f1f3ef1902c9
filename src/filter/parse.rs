//! Tokens to a tree that can be evaluated. Whatever is not understood is refused, with its place.

use core::ops::Range;

use memchr::memmem::Finder;
use regex::bytes::RegexBuilder;

use super::eval::{Case, Node, Operand, Order, Right, Slice, What};
use super::key::{Key, Type};
use super::lex::{Token, tokens};
use super::literal::{Literal, bytes, literal, plain_number};
use super::{FilterError, MAX_DEPTH, MAX_LEN};

/// The most memory a compiled regular expression may take, in bytes, and as much again while it runs.
const REGEX_SIZE: usize = 1 << 20;

/// Reads a whole expression.
pub(super) fn parse(text: &str) -> Result<Node, FilterError> {
    if text.len() > MAX_LEN {
        return Err(FilterError::new(
            text.floor_char_boundary(MAX_LEN)..text.len(),
            format!("an expression has at most {MAX_LEN} bytes"),
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        end: text.len(),
        depth: 0,
    };
    if parser.tokens.is_empty() {
        return Err(FilterError::new(0..0, "the expression is empty")
            .hint("such as tcp.port == 443 && tls.handshake"));
    }
    let node = parser.any_of()?;
    match parser.peek() {
        None => Ok(node),
        Some((token, place)) => Err(leftover(token, place.clone())),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    /// How long the expression is.
    end: usize,
    depth: usize,
}

/// One side of a comparison.
enum Side {
    Operand(Operand),
    /// Something written; what it means depends on the other side.
    Written(Token, Range<usize>),
}

impl Parser {
    fn peek(&self) -> Option<&(Token, Range<usize>)> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<(Token, Range<usize>)> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Takes the next token if it is one of these signs or words, and gives which.
    fn take(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        let (token, _) = self.peek()?;
        let is = |wanted: &&&str| match token {
            Token::Sign(sign) => sign == *wanted,
            Token::Word(word) => word == **wanted,
            _ => false,
        };
        let found = *wanted.iter().find(is)?;
        self.at += 1;
        Some(found)
    }

    /// Where the next token is, or the end.
    fn place(&self) -> Range<usize> {
        self.peek()
            .map_or(self.end..self.end, |(_, place)| place.clone())
    }

    fn expect(&mut self, sign: &'static str, what: &str) -> Result<(), FilterError> {
        match self.take(&[sign]) {
            Some(_) => Ok(()),
            None => Err(FilterError::new(self.place(), what.to_owned())),
        }
    }

    fn deeper(&mut self) -> Result<(), FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::new(
                self.place(),
                format!("an expression is nested at most {MAX_DEPTH} deep"),
            ));
        }
        Ok(())
    }

    fn any_of(&mut self) -> Result<Node, FilterError> {
        self.deeper()?;
        let mut nodes = vec![self.all_of()?];
        while self.take(&["||", "or"]).is_some() {
            nodes.push(self.all_of()?);
        }
        self.depth -= 1;
        Ok(single(nodes, Node::Or))
    }

    fn all_of(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.one()?];
        while self.take(&["&&", "and"]).is_some() {
            nodes.push(self.one()?);
        }
        Ok(single(nodes, Node::And))
    }

    fn one(&mut self) -> Result<Node, FilterError> {
        if self.take(&["!", "not"]).is_some() {
            self.deeper()?;
            let node = self.one()?;
            self.depth -= 1;
            return Ok(Node::Not(Box::new(node)));
        }
        if self.take(&["("]).is_some() {
            let node = self.any_of()?;
            self.expect(")", "a closing parenthesis is missing here")?;
            return Ok(node);
        }
        self.relation()
    }

    /// A comparison, or a name alone.
    fn relation(&mut self) -> Result<Node, FilterError> {
        let all = self.take(&["all", "any"]).map(|word| word == "all");
        let start = self.place();
        let left = self.side()?;
        let place = self.place();
        let node = if let Some(sign) = self.take(&[
            "==", "eq", "any_eq", "===", "all_eq", "!=", "ne", "all_ne", "!==", "any_ne", "<",
            "lt", "<=", "le", ">", "gt", ">=", "ge",
        ]) {
            let (order, default) = match sign {
                "==" | "eq" | "any_eq" => (Order::Equal, false),
                "===" | "all_eq" => (Order::Equal, true),
                "!=" | "ne" | "all_ne" => (Order::Unequal, true),
                "!==" | "any_ne" => (Order::Unequal, false),
                "<" | "lt" => (Order::Less, false),
                "<=" | "le" => (Order::LessOrEqual, false),
                ">" | "gt" => (Order::Greater, false),
                _ => (Order::GreaterOrEqual, false),
            };
            let right = self.side()?;
            compare(left, order, all.unwrap_or(default), right, &place)?
        } else if self.take(&["contains"]).is_some() {
            self.contains(left, all.unwrap_or(false), &place)?
        } else if self.take(&["matches", "~"]).is_some() {
            self.matches(left, all.unwrap_or(false), &place)?
        } else if self.take(&["in"]).is_some() {
            self.set(left, all.unwrap_or(false))?
        } else if self
            .peek()
            .is_some_and(|(token, _)| *token == Token::Word("not".into()))
            && matches!(self.tokens.get(self.at + 1), Some((Token::Word(word), _)) if word == "in")
        {
            self.at += 2;
            Node::Not(Box::new(self.set(left, all.unwrap_or(false))?))
        } else if all.is_some() {
            return Err(FilterError::new(place, "a comparison is missing here")
                .hint("any and all stand before a comparison, such as all tcp.port > 1024"));
        } else {
            return present(left, &start);
        };
        if self.peek().is_some_and(|(token, _)| {
            matches!(token, Token::Sign("==" | "!=" | "<" | ">" | "<=" | ">="))
        }) {
            return Err(FilterError::new(self.place(), "comparisons do not chain")
                .hint("write two of them with && between"));
        }
        Ok(node)
    }

    /// A key with what stands around it, or something written.
    fn side(&mut self) -> Result<Side, FilterError> {
        let Some((token, place)) = self.next() else {
            return Err(FilterError::new(
                self.end..self.end,
                "the expression ends here, but something is missing",
            ));
        };
        let Token::Word(word) = &token else {
            return match token {
                Token::Text(_) | Token::Char(_) => Ok(Side::Written(token, place)),
                other => Err(leftover(&other, place)),
            };
        };
        if matches!(self.peek(), Some((Token::Sign("("), _))) {
            let operand = self.function(&word.clone(), &place)?;
            return Ok(Side::Operand(operand));
        }
        let Some(key) = Key::find(word) else {
            if let Some((Token::Slice(_), slice)) = self.peek() {
                let _ = slice;
                return Err(no_such_key(word, place));
            }
            return Ok(Side::Written(token, place));
        };
        let mut operand = Operand::new(key);
        self.slice(&mut operand, &place)?;
        if self.take(&["&", "bitand", "bitwise_and"]).is_some() {
            let place = self.place();
            if !operand.is.is_number() {
                return Err(FilterError::new(
                    place,
                    format!(
                        "& takes bits of a number, and {} is {}",
                        operand.key.name,
                        operand.is.name()
                    ),
                ));
            }
            let mask = match self.next() {
                Some((Token::Word(word), _)) => plain_number(&word),
                _ => None,
            };
            let Some(mask) = mask else {
                return Err(FilterError::new(
                    place,
                    "behind & stands a number, such as 0x02",
                ));
            };
            operand.mask = Some(mask);
        }
        Ok(Side::Operand(operand))
    }

    /// `[…]` behind a key.
    fn slice(&mut self, operand: &mut Operand, key: &Range<usize>) -> Result<(), FilterError> {
        let Some((Token::Slice(text), place)) = self.peek().cloned() else {
            return Ok(());
        };
        self.at += 1;
        if !operand.key.is.has_bytes() {
            return Err(FilterError::new(
                key.clone(),
                format!(
                    "{} is {}: it has no bytes to take some of",
                    operand.key.name,
                    operand.key.is.name()
                ),
            ));
        }
        operand.slice = Some(Slice::parse(&text).map_err(|(at, len, what)| {
            let start = place.start + 1 + at;
            FilterError::new(start..start + len, what).hint(
                "[4] is one byte, [4:2] two from there on, [4-5] from 4 to 5, [:2] the first two, [4:] all from there on",
            )
        })?);
        operand.is = Type::Bytes;
        if matches!(self.peek(), Some((Token::Slice(_), _))) {
            return Err(FilterError::new(
                self.place(),
                "a slice of a slice is not supported",
            ));
        }
        Ok(())
    }

    /// `len(…)`, `count(…)`, `lower(…)`, `upper(…)`.
    fn function(&mut self, name: &str, place: &Range<usize>) -> Result<Operand, FilterError> {
        if !["len", "count", "lower", "upper"].contains(&name) {
            return Err(
                FilterError::new(place.clone(), format!("there is no function {name}()"))
                    .hint("there are len, count, lower and upper"),
            );
        }
        self.at += 1;
        let inside = self.place();
        self.deeper()?;
        let side = self.side()?;
        self.depth -= 1;
        let mut operand = match side {
            Side::Operand(operand) => operand,
            Side::Written(token, place) => return Err(written_alone(&token, place)),
        };
        self.expect(")", "a closing parenthesis is missing here")?;
        let (key, is) = (operand.key.name, operand.is);
        let refuse = |what: String| Err(FilterError::new(inside.clone(), what));
        if operand.what != What::Value || operand.mask.is_some() {
            return refuse(format!("{name}() takes a field"));
        }
        match name {
            "count" if operand.slice.is_some() || operand.case != Case::AsIs => {
                return refuse("count() takes the name of a field alone".to_owned());
            }
            "count" => (operand.what, operand.is) = (What::Count, Type::Number),
            "len" if !is.has_bytes() => {
                return refuse(format!("len() counts bytes, and {key} is {}", is.name()));
            }
            "len" => (operand.what, operand.is) = (What::Len, Type::Number),
            _ if is != Type::Text => {
                return refuse(format!("{name}() takes text, and {key} is {}", is.name()));
            }
            "lower" => operand.case = Case::Lower,
            _ => operand.case = Case::Upper,
        }
        Ok(operand)
    }

    fn contains(
        &mut self,
        left: Side,
        all: bool,
        place: &Range<usize>,
    ) -> Result<Node, FilterError> {
        let left = searched(left, "contains", place)?;
        let right = match self.side()? {
            Side::Operand(right) if searchable(&right) => Right::Operand(Box::new(right)),
            Side::Operand(right) => {
                return Err(FilterError::new(
                    place.clone(),
                    format!(
                        "contains looks for bytes or text, and {} is {}",
                        right.key.name,
                        right.is.name()
                    ),
                ));
            }
            Side::Written(token, place) => {
                let text = match (&token, left.is) {
                    (Token::Word(word), Type::Text) => word.clone().into_bytes(),
                    _ => bytes(&token).ok_or_else(|| {
                        FilterError::new(place.clone(), "these are neither bytes nor text")
                            .hint("write text between double quotation marks, bytes as 16:03:01")
                    })?,
                };
                return Ok(Node::Contains {
                    left,
                    needle: Finder::new(&text).into_owned(),
                    all,
                });
            }
        };
        Ok(Node::Compare {
            left,
            order: Order::Contains,
            all,
            right,
        })
    }

    fn matches(
        &mut self,
        left: Side,
        all: bool,
        place: &Range<usize>,
    ) -> Result<Node, FilterError> {
        let left = searched(left, "matches", place)?;
        if left.case != Case::AsIs {
            return Err(FilterError::new(
                place.clone(),
                "matches takes no notice of upper and lower case by itself",
            )
            .hint("leave out lower() or upper(); (?-i) in the pattern makes it strict"));
        }
        let (pattern, place) = match self.side()? {
            Side::Written(Token::Text(pattern), place) => (pattern, place),
            Side::Written(_, place) => {
                return Err(FilterError::new(
                    place,
                    "behind matches stands a pattern between double quotation marks",
                ));
            }
            Side::Operand(_) => {
                return Err(FilterError::new(
                    place.clone(),
                    "behind matches stands a pattern between double quotation marks",
                ));
            }
        };
        let pattern = String::from_utf8(pattern).map_err(|_| {
            FilterError::new(place.clone(), "this pattern is not UTF-8")
                .hint("write bytes as \\\\xff")
        })?;
        // Upper and lower case are alike, and `.` is any byte: as Wireshark has it.
        let regex = RegexBuilder::new(&pattern)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(REGEX_SIZE)
            .dfa_size_limit(REGEX_SIZE)
            .nest_limit(50)
            .build()
            .map_err(|error| {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or("").trim();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                FilterError::new(place, format!("this is no pattern: {reason}"))
            })?;
        Ok(Node::Matches { left, regex, all })
    }

    /// `{a, b, c..d}`.
    fn set(&mut self, left: Side, all: bool) -> Result<Node, FilterError> {
        let place = self.place();
        let left = match left {
            Side::Operand(left) => left,
            Side::Written(token, place) => return Err(written_alone(&token, place)),
        };
        self.expect("{", "behind in stands a set, such as {80, 443, 8000..8080}")?;
        let mut set = Vec::new();
        loop {
            let first = self.element(&left)?;
            let last = match self.take(&[".."]) {
                Some(_) => Some(self.element(&left)?),
                None => None,
            };
            set.push((first, last));
            if self.take(&[","]).is_none() {
                break;
            }
        }
        self.expect("}", "in a set stands a comma or a closing brace here")?;
        if left.is == Type::Mark {
            return Err(FilterError::new(
                place,
                format!("{} is {}", left.key.name, left.is.name()),
            ));
        }
        Ok(Node::In { left, set, all })
    }

    fn element(&mut self, left: &Operand) -> Result<Literal, FilterError> {
        let place = self.place();
        match self.next() {
            Some((token @ (Token::Word(_) | Token::Text(_) | Token::Char(_)), place)) => {
                literal(&token, &place, &left.key, left.is)
            }
            _ => Err(FilterError::new(place, "a value is missing here")),
        }
    }
}

fn single(mut nodes: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(node) if nodes.is_empty() => node,
        Some(node) => {
            nodes.push(node);
            several(nodes)
        }
        None => several(nodes),
    }
}

fn present(side: Side, place: &Range<usize>) -> Result<Node, FilterError> {
    match side {
        Side::Operand(operand) if operand.what == What::Value && operand.case == Case::AsIs => {
            Ok(Node::Present(operand))
        }
        Side::Operand(_) => Err(FilterError::new(
            place.clone(),
            "a function alone says nothing: a comparison is missing",
        )
        .hint("such as len(tcp.payload) > 100")),
        Side::Written(token, place) => Err(written_alone(&token, place)),
    }
}

fn compare(
    left: Side,
    order: Order,
    all: bool,
    right: Side,
    place: &Range<usize>,
) -> Result<Node, FilterError> {
    let (left, order, right) = match (left, right) {
        (Side::Operand(left), right) => (left, order, right),
        (written, Side::Operand(right)) => (right, order.turned(), written),
        (Side::Written(token, place), Side::Written(..)) => {
            return Err(written_alone(&token, place));
        }
    };
    if left.is == Type::Mark {
        let text = format!(
            "{} is {}, so there is nothing to compare",
            left.key.name,
            left.is.name()
        );
        return Err(FilterError::new(place.clone(), text).hint(
            "write its name alone to ask whether it is there, with ! before it whether it is not",
        ));
    }
    let right = match right {
        Side::Operand(right) => {
            if !alike(left.is, right.is) {
                return Err(FilterError::new(
                    place.clone(),
                    format!(
                        "{} is {}, {} is {}: they cannot be compared",
                        left.key.name,
                        left.is.name(),
                        right.key.name,
                        right.is.name()
                    ),
                ));
            }
            Right::Operand(Box::new(right))
        }
        Side::Written(token, place) => {
            let literal = literal(&token, &place, &left.key, left.is);
            match &token {
                // A field was meant, more likely than a value.
                Token::Word(word)
                    if word.contains('.') && (literal.is_err() || left.is == Type::Text) =>
                {
                    let near = Key::near(word);
                    if near.is_empty() {
                        Right::Literal(literal?)
                    } else {
                        return Err(no_such_key(word, place));
                    }
                }
                _ => Right::Literal(literal?),
            }
        }
    };
    Ok(Node::Compare {
        left,
        order,
        all,
        right,
    })
}

/// Whether values of the two kinds can be compared with each other.
fn alike(one: Type, other: Type) -> bool {
    let bytes = |is| {
        matches!(
            is,
            Type::Bytes | Type::Text | Type::Oid | Type::Part | Type::Ether
        )
    };
    one == other || (one.is_number() && other.is_number()) || (bytes(one) && bytes(other))
}

fn searchable(operand: &Operand) -> bool {
    matches!(
        operand.is,
        Type::Bytes | Type::Text | Type::Part | Type::Ether
    )
}

/// The left side of `contains` and `matches`.
fn searched(left: Side, word: &str, place: &Range<usize>) -> Result<Operand, FilterError> {
    match left {
        Side::Operand(left) if searchable(&left) => Ok(left),
        Side::Operand(left) => Err(FilterError::new(
            place.clone(),
            format!(
                "{word} searches bytes or text, and {} is {}",
                left.key.name,
                left.is.name()
            ),
        )),
        Side::Written(token, place) => Err(written_alone(&token, place)),
    }
}

/// A word where a key was to be.
fn written_alone(token: &Token, place: Range<usize>) -> FilterError {
    match token {
        Token::Word(word) if !word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            no_such_key(word, place)
        }
        _ => FilterError::new(place, "here stands a field, not a value"),
    }
}

pub(super) fn no_such_key(word: &str, place: Range<usize>) -> FilterError {
    let near = Key::near(word);
    let hint = match near.as_slice() {
        [] if ["AND", "OR", "NOT", "EQ", "NE"].contains(&word) => {
            "the words of the language are written in small letters".to_owned()
        }
        [] => "`layerwise fields` lists all there are".to_owned(),
        near => format!("did you mean {}?", near.join(" or ")),
    };
    FilterError::new(place, format!("no such field: {word}")).hint(hint)
}

/// A token that does not belong where it stands.
fn leftover(token: &Token, place: Range<usize>) -> FilterError {
    match token {
        Token::Sign(")") => FilterError::new(place, "no parenthesis was opened for this one"),
        Token::Sign("}" | "{") => {
            FilterError::new(place, "braces stand behind the word in").hint("tcp.port in {80, 443}")
        }
        Token::Sign(sign) => FilterError::new(place, format!("{sign} does not belong here")),
        Token::Word(word) if ["AND", "OR", "NOT", "EQ", "NE"].contains(&word.as_str()) => {
            FilterError::new(place, format!("{word} does not belong here"))
                .hint("the words of the language are written in small letters")
        }
        Token::Word(_) | Token::Text(_) | Token::Char(_) => {
            FilterError::new(place, "this does not belong here")
                .hint("&& or || is missing before it")
        }
        Token::Slice(_) => FilterError::new(place, "a slice stands directly behind a field's name"),
    }
}
