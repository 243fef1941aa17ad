//! `cjson.decode`: JSON as Lua values (lua-cjson 2.1.0).
//!
//! `null` is `cjson.null`, a light userdata. Numbers are read by `strtod`, so unless
//! `decode_invalid_numbers` is off, hexadecimal and infinite ones and leading zeros are accepted.

use mlua::{MultiValue, Table, Value};

use super::STACK_SLOTS;
use super::cjson::Settings;
use crate::redis::engine::lua::args::{Args, throw};
use crate::redis::engine::lua::floats;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Bool(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// What the error texts call it.
    fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::Text(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Bool(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(why) => why,
        }
    }
}

/// A container whose end has not come yet.
struct Open {
    /// The key of the value under way; `None` in an array.
    key: Option<Vec<u8>>,
    /// Values of an array so far.
    count: usize,
    /// Whether it is an array.
    is_array: bool,
    /// Slots of Lua's stack the C library has in use here.
    slots: usize,
}

pub(super) fn decode(args: &Args<'_>, settings: &mut Settings) -> mlua::Result<MultiValue> {
    if args.len() != 1 {
        return args.refuse(1, "expected 1 argument");
    }
    let text = args.bytes(1)?;
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return throw(args.lua(), "JSON parser does not support UTF-16 or UTF-32");
    }
    let outer = args.lua().create_table()?;
    let mut decoder = Decoder { args, settings, text: &text, at: 0, token_at: 0, inner: None, outer };
    let value = decoder.document()?;
    match decoder.next() {
        Token::End => Ok(MultiValue::from_vec(vec![value])),
        other => decoder.unexpected("the end", &other),
    }
}

struct Decoder<'a> {
    args: &'a Args<'a>,
    settings: &'a Settings,
    text: &'a [u8],
    at: usize,
    /// Where the last token began.
    token_at: usize,
    /// The table of the innermost open container.
    inner: Option<Table>,
    /// Those of the containers around it, in a table: the binding can hold only some thousands.
    outer: Table,
}

impl Decoder<'_> {
    fn document(&mut self) -> mlua::Result<Value> {
        let mut open: Vec<Open> = Vec::new();
        let mut token = self.next();
        loop {
            let value = match token {
                Token::ObjectBegin | Token::ArrayBegin => {
                    let is_array = token == Token::ArrayBegin;
                    let (container, table) = self.begin(is_array, &open)?;
                    token = self.next();
                    let end = if is_array { Token::ArrayEnd } else { Token::ObjectEnd };
                    if token != end {
                        if let Some(around) = self.inner.replace(table) {
                            self.outer.raw_set(open.len(), around)?;
                        }
                        open.push(container);
                        if !is_array {
                            token = self.key(token, &mut open)?;
                        }
                        continue;
                    }
                    Value::Table(table)
                }
                other => self.scalar(other)?,
            };
            match self.place(value, &mut open)? {
                Next::Done(value) => return Ok(value),
                Next::Value(next) => token = next,
            }
        }
    }

    /// Puts a value where it belongs, ends what ends with it, and reads the start of the next value.
    fn place(&mut self, mut value: Value, open: &mut Vec<Open>) -> mlua::Result<Next> {
        loop {
            let Some(container) = open.last_mut() else { return Ok(Next::Done(value)) };
            let is_array = container.is_array;
            let Some(table) = &self.inner else { return Ok(Next::Done(value)) };
            match container.key.take() {
                Some(key) => table.raw_set(self.args.lua().create_string(key)?, value)?,
                None => {
                    container.count += 1;
                    table.raw_set(container.count, value)?;
                }
            }
            let token = self.next();
            match (&token, is_array) {
                (Token::ArrayEnd, true) | (Token::ObjectEnd, false) => {
                    open.pop();
                    let around = if open.is_empty() { None } else { self.outer.raw_get(open.len())? };
                    value = std::mem::replace(&mut self.inner, around).map_or(Value::Nil, Value::Table);
                }
                (Token::Comma, true) => return Ok(Next::Value(self.next())),
                (Token::Comma, false) => {
                    let token = self.next();
                    return self.key(token, open).map(Next::Value);
                }
                (other, true) => return self.unexpected("comma or array end", other),
                (other, false) => return self.unexpected("comma or object end", other),
            }
        }
    }

    fn begin(&mut self, is_array: bool, open: &[Open]) -> mlua::Result<(Open, Table)> {
        let depth = open.len() + 1;
        let needed = if is_array { 2 } else { 3 };
        let used = open.last().map_or(1, |outer| outer.slots + if outer.is_array { 1 } else { 2 });
        let deepest = usize::try_from(self.settings.decode_depth).unwrap_or(usize::MAX);
        if depth > deepest || used + needed > STACK_SLOTS {
            let at = self.at;
            let text = format!("Found too many nested data structures ({depth}) at character {at}");
            return throw(self.args.lua(), &text);
        }
        let table = self.args.lua().create_table()?;
        Ok((Open { key: None, count: 0, is_array, slots: used }, table))
    }

    /// Takes a key and its colon; the token after them.
    fn key(&mut self, token: Token, open: &mut [Open]) -> mlua::Result<Token> {
        let Token::Text(key) = token else { return self.unexpected("object key string", &token) };
        if let Some(object) = open.last_mut() {
            object.key = Some(key);
        }
        match self.next() {
            Token::Colon => Ok(self.next()),
            other => self.unexpected("colon", &other),
        }
    }

    fn scalar(&self, token: Token) -> mlua::Result<Value> {
        Ok(match token {
            Token::Text(text) => Value::String(self.args.lua().create_string(text)?),
            Token::Number(number) => Value::Number(number),
            Token::Bool(yes) => Value::Boolean(yes),
            Token::Null => Value::NULL,
            other => return self.unexpected("value", &other),
        })
    }

    fn unexpected<T>(&self, expected: &str, found: &Token) -> mlua::Result<T> {
        let (found, at) = (found.name(), self.token_at + 1);
        throw(self.args.lua(), &format!("Expected {expected} but found {found} at character {at}"))
    }

    /// A byte ahead; 0 at the end, as a C string has it.
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Token {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.token_at = self.at;
        let single = match self.peek(0) {
            0 => return Token::End,
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' if !self.settings.decode_invalid && self.is_invalid_number() => {
                return self.error("invalid number");
            }
            b'-' | b'0'..=b'9' => return self.number(),
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => return self.word(),
            _ => return self.error("invalid token"),
        };
        self.at += 1;
        single
    }

    fn error(&mut self, why: &'static str) -> Token {
        self.token_at = self.at;
        Token::Error(why)
    }

    fn word(&mut self) -> Token {
        let rest = &self.text[self.at..];
        for (word, token) in
            [("true", Token::Bool(true)), ("false", Token::Bool(false)), ("null", Token::Null)]
        {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        if self.settings.decode_invalid && self.is_invalid_number() {
            return self.number();
        }
        self.error("invalid token")
    }

    /// Whether `strtod` takes what JSON does not allow: `+1`, `0x1`, `01`, `inf`, `nan`.
    fn is_invalid_number(&self) -> bool {
        let sign = usize::from(self.peek(0) == b'-');
        let word = |text: &[u8]| {
            let found = self.text.get(self.at + sign..).and_then(|rest| rest.get(..text.len()));
            found.is_some_and(|found| found.eq_ignore_ascii_case(text))
        };
        match self.peek(sign) {
            b'+' if sign == 0 => true,
            b'0' => matches!(self.peek(sign + 1), b'x' | b'X' | b'0'..=b'9'),
            byte if byte <= b'9' => false,
            _ => word(b"inf") || word(b"nan"),
        }
    }

    fn number(&mut self) -> Token {
        match floats::parse_prefix(&self.text[self.at..]) {
            Some((number, length)) => {
                self.at += length;
                Token::Number(number)
            }
            None => self.error("invalid number"),
        }
    }

    fn string(&mut self) -> Token {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.peek(0) {
                b'"' => {
                    self.at += 1;
                    return Token::Text(text);
                }
                0 => return self.error("unexpected end of string"),
                b'\\' => {
                    let plain = match self.peek(1) {
                        byte @ (b'"' | b'\\' | b'/') => byte,
                        b'b' => 0x08,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 0x0c,
                        b'r' => b'\r',
                        b'u' => {
                            if self.unicode(&mut text).is_none() {
                                return self.error("invalid unicode escape code");
                            }
                            continue;
                        }
                        _ => return self.error("invalid escape code"),
                    };
                    text.push(plain);
                    self.at += 2;
                }
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    /// An escape like `\u00e4`, or a pair of surrogates, as UTF-8.
    fn unicode(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let first = self.hex(2)?;
        let (code, length) = if (0xd800..0xdc00).contains(&first) {
            if self.peek(6) != b'\\' || self.peek(7) != b'u' {
                return None;
            }
            let second = self.hex(8).filter(|second| (0xdc00..0xe000).contains(second))?;
            (0x1_0000 + (((first & 0x3ff) << 10) | (second & 0x3ff)), 12)
        } else {
            (first, 6)
        };
        let mut utf8 = [0_u8; 4];
        // A low surrogate alone is no character.
        text.extend(char::from_u32(code)?.encode_utf8(&mut utf8).bytes());
        self.at += length;
        Some(())
    }

    fn hex(&self, ahead: usize) -> Option<u32> {
        (ahead..ahead + 4).try_fold(0, |code, at| Some(code << 4 | char::from(self.peek(at)).to_digit(16)?))
    }
}

/// What follows a value.
enum Next {
    /// It was the whole document.
    Done(Value),
    /// The first token of another.
    Value(Token),
}
