//! As much JSON as vectors/manifest.json needs.

use std::collections::BTreeMap;
use std::str::Chars;

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Map(BTreeMap<String, Json>),
}

impl Json {
    pub fn parse(text: &str) -> Json {
        let mut parser = Parser { rest: text.chars() };
        let found = parser.value();
        parser.space();
        assert!(parser.rest.as_str().is_empty(), "JSON goes on after its end");
        found
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Map(map) => map.get(key),
            _ => None,
        }
    }

    pub fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Json::Text(text)) => text,
            other => panic!("{key} is {other:?}"),
        }
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        match self.get(key) {
            Some(Json::Number(number)) => Some(*number as u64),
            _ => None,
        }
    }

    pub fn list(&self) -> &[Json] {
        match self {
            Json::List(list) => list,
            other => panic!("not a list: {other:?}"),
        }
    }
}

struct Parser<'a> {
    rest: Chars<'a>,
}

impl Parser<'_> {
    fn space(&mut self) {
        let trimmed = self.rest.as_str().trim_start();
        self.rest = self.rest.as_str()[self.rest.as_str().len() - trimmed.len()..].chars();
    }

    fn peek(&mut self) -> char {
        self.space();
        self.rest.clone().next().expect("JSON ends early")
    }

    fn eat(&mut self, text: &str) -> bool {
        self.space();
        let found = self.rest.as_str().starts_with(text);
        if found {
            self.rest = self.rest.as_str()[text.len()..].chars();
        }
        found
    }

    fn value(&mut self) -> Json {
        match self.peek() {
            '{' => {
                let mut map = BTreeMap::new();
                assert!(self.eat("{"));
                while !self.eat("}") {
                    self.space();
                    let key = self.string();
                    assert!(self.eat(":"));
                    map.insert(key, self.value());
                    let _ = self.eat(",");
                }
                Json::Map(map)
            }
            '[' => {
                let mut list = Vec::new();
                assert!(self.eat("["));
                while !self.eat("]") {
                    list.push(self.value());
                    let _ = self.eat(",");
                }
                Json::List(list)
            }
            '"' => Json::Text(self.string()),
            _ if self.eat("true") => Json::Bool(true),
            _ if self.eat("false") => Json::Bool(false),
            _ if self.eat("null") => Json::Null,
            _ => {
                let text = self.rest.as_str();
                let end = text.find(|c: char| !"+-.0123456789eE".contains(c)).unwrap_or(text.len());
                self.rest = text[end..].chars();
                Json::Number(text[..end].parse().expect("a number"))
            }
        }
    }

    fn string(&mut self) -> String {
        assert_eq!(self.rest.next(), Some('"'));
        let mut out = String::new();
        loop {
            match self.rest.next().expect("text ends") {
                '"' => return out,
                '\\' => match self.rest.next().expect("text ends") {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'u' => {
                        let digits: String = self.rest.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).expect("four digits");
                        out.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
                    }
                    other => out.push(other),
                },
                other => out.push(other),
            }
        }
    }
}
