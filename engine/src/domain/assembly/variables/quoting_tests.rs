//! Whatever a value is, PowerShell finds the same code in the script. What PowerShell finds is modelled here by a small
//! model of its quoting, which shares nothing with the reader that is tested.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// Where the model has to choose.
#[derive(Clone, Copy, Debug)]
struct Dialect {
    /// Whether `#` and `<#` inside a word begin a comment.
    comment_in_word: bool,
}

/// The code of a script: every text and comment is left out but for a mark of its kind.
struct Model {
    script: Vec<char>,
    at: usize,
    code: String,
    dialect: Dialect,
}

impl Model {
    fn code_of(script: &str, dialect: Dialect) -> String {
        let mut model = Self {
            script: script.chars().collect(),
            at: 0,
            code: String::new(),
            dialect,
        };
        while model.at < model.script.len() {
            model.code(None);
            model.code.push('\u{1}');
            model.at += 1;
        }
        model.code
    }

    fn peek(&self, ahead: usize) -> char {
        self.script.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn is_single(character: char) -> bool {
        "'‘’‚‛".contains(character)
    }

    fn is_double(character: char) -> bool {
        "\"“”„".contains(character)
    }

    /// Reads code up to its end, or to the parenthesis that closes it.
    fn code(&mut self, mut open: Option<usize>) {
        let mut in_word = false;
        while self.at < self.script.len() {
            let character = self.peek(0);
            let comments = !in_word || self.dialect.comment_in_word;
            let was_in_word = in_word;
            in_word = !(character.is_whitespace() || "(){};,|&".contains(character));
            if character == '`' {
                let next = self.peek(1);
                self.code.extend(['`', next]);
                in_word = next != '\n';
                self.at += 2;
            } else if character == '#' && comments {
                while self.at < self.script.len() && !"\r\n".contains(self.peek(0)) {
                    self.at += 1;
                }
                self.code.push('#');
                in_word = false;
            } else if character == '<' && self.peek(1) == '#' && comments {
                self.at += 2;
                while self.at < self.script.len() && (self.peek(0), self.peek(1)) != ('#', '>') {
                    self.at += 1;
                }
                self.at += 2;
                self.code.push('#');
                in_word = false;
            } else if character == '$' && self.peek(1) == '{' {
                self.braced();
            } else if character == '@' && self.is_header() {
                self.here();
            } else if Self::is_single(character) {
                self.single();
            } else if Self::is_double(character) {
                self.double();
            } else if !was_in_word
                && (character, self.peek(1), self.peek(2)) == ('-', '-', '%')
                && self.peek(3) == ' '
            {
                self.verbatim();
                in_word = false;
            } else {
                self.code.push(character);
                self.at += 1;
                match (&mut open, character) {
                    (Some(open), '(') => *open += 1,
                    (Some(0), ')') => return,
                    (Some(open), ')') => *open -= 1,
                    _ => {}
                }
            }
        }
    }

    fn is_header(&self) -> bool {
        let quote = self.peek(1);
        let mut ahead = 2;
        while matches!(self.peek(ahead), ' ' | '\t') {
            ahead += 1;
        }
        (Self::is_single(quote) || Self::is_double(quote)) && "\r\n".contains(self.peek(ahead))
    }

    fn here(&mut self) {
        let double = Self::is_double(self.peek(1));
        while !"\r\n".contains(self.peek(0)) {
            self.at += 1;
        }
        self.code.push(if double { 'D' } else { 'S' });
        while self.at < self.script.len() {
            let quote = self.peek(1);
            let ends = if double {
                Self::is_double(quote)
            } else {
                Self::is_single(quote)
            };
            if "\r\n".contains(self.peek(0)) && ends && self.peek(2) == '@' {
                self.at += 3;
                return;
            }
            if double {
                self.expandable();
            } else {
                self.at += 1;
            }
        }
    }

    fn single(&mut self) {
        self.code.push('s');
        self.at += 1;
        while self.at < self.script.len() {
            if Self::is_single(self.peek(0)) {
                if !Self::is_single(self.peek(1)) {
                    self.at += 1;
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
        }
    }

    fn double(&mut self) {
        self.code.push('d');
        self.at += 1;
        while self.at < self.script.len() {
            if Self::is_double(self.peek(0)) {
                if !Self::is_double(self.peek(1)) {
                    self.at += 1;
                    return;
                }
                self.at += 2;
            } else {
                self.expandable();
            }
        }
    }

    /// One character of a text in which `$` and the backtick count, with the code that it stands for.
    fn expandable(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('`', _) => self.at += 2,
            ('$', '(') => {
                self.at += 2;
                self.code.push('(');
                self.code(Some(0));
            }
            ('$', '{') => self.braced(),
            ('$', next) if next.is_alphanumeric() || "_$^?".contains(next) => {
                self.code.extend(['$', next]);
                self.at += 2;
            }
            _ => self.at += 1,
        }
    }

    fn braced(&mut self) {
        while self.at < self.script.len() && self.peek(0) != '}' {
            self.code.push(self.peek(0));
            if self.peek(0) == '`' {
                self.at += 1;
                self.code.push(self.peek(0));
            }
            self.at += 1;
        }
        self.at += 1;
    }

    fn verbatim(&mut self) {
        let mut quoted = false;
        while self.at < self.script.len()
            && !"\r\n".contains(self.peek(0))
            && (quoted || !"|&".contains(self.peek(0)))
        {
            quoted ^= Self::is_double(self.peek(0));
            self.code.push(self.peek(0));
            self.at += 1;
        }
    }
}

fn rewritten(script: &str, value: &str) -> Result<String, EscapingValue> {
    let overrides = Overrides::from_iter([("x".to_owned(), value.into())]);
    fill(&[], &overrides).rewrite(script, EscapePolicy::Refuse)
}

/// The code of a script with this value, in both dialects, its own words made alike: `''` and `'x'` are both a text.
fn codes(script: &str) -> BTreeSet<String> {
    [false, true]
        .map(|comment_in_word| Model::code_of(script, Dialect { comment_in_word }))
        .into()
}

const HOSTILE: [&str; 22] = [
    "'", "‘", "’", "‚", "‛", "\"", "“", "”", "„", "`", "$", "$(", ")", "\n", "\r", "#", "#>", "@", ";calc;",
    "}", "|", " ",
];

const PIECES: [&str; 36] = [
    "$env:x", "$env:x", "$env:{x}", "'", "'", "\"", "\"", "‘", "“", "`", "$(", ")", "\n", "#", "<#", "#>",
    "@'\n", "\n'@", "@\"\n", "\n\"@", " ", " ", "foo", "{", "}", "${", "$", "@", ";", "|", "--% ", "=", "-",
    "''", "\"\"", "(",
];

fn value() -> impl Strategy<Value = String> {
    // A word is a word everywhere, also where it is code.
    let pieces = vec(prop_oneof![6 => select(HOSTILE.to_vec()), 1 => Just("w")], 1..8);
    pieces
        .prop_map(|pieces| pieces.concat())
        .prop_filter("a word", |value| !is_plain(value))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn no_value_changes_the_code_of_a_script(script in vec(select(PIECES.to_vec()), 1..14), value in value()) {
        let script = script.concat();
        if let Ok(hostile) = rewritten(&script, &value) {
            let tame = rewritten(&script, "w").unwrap();
            prop_assert_eq!(codes(&hostile), codes(&tame), "{:?} and {:?} of {:?}", hostile, tame, script);
        }
    }

    #[test]
    fn where_scripts_have_their_variables_no_value_changes_the_code(place in select(PLACES.to_vec()), value in value()) {
        if let Ok(hostile) = rewritten(place, &value) {
            let tame = rewritten(place, "w").unwrap();
            prop_assert_eq!(codes(&hostile), codes(&tame), "{:?} and {:?}", hostile, tame);
        }
    }
}

const PLACES: [&str; 14] = [
    "Write-Output $env:x; exit\n",
    "Write-Output \"hello $env:x!\"; exit\n",
    "Write-Output 'hello $env:x!'; exit\n",
    "Write-Output \"hello $(Get-Thing $env:x | Out-String)!\"; exit\n",
    "$t = @\"\nhello $env:x\n\"@\nexit\n",
    "$t = @'\nhello $env:x\n'@\nexit\n",
    "# about $env:x, don't mind\nexit\n",
    "<# about $env:x #> exit\n",
    "Write-Output `$env:x; exit\n",
    "Write-Output ${$env:x}; exit\n",
    "cmd --% /c echo $env:x | more\nexit\n",
    "Write-Output a'b'$env:x'c'; exit\n",
    "Write-Output @$env:x; exit\n",
    "Write-Output ”a”$env:x‘b’; exit\n",
];

#[test]
fn quotes_of_every_form_are_doubled_inside_single_quotes() {
    for quote in ["'", "‘", "’", "‚", "‛"] {
        let value = format!("a{quote}; calc; {quote}b");
        assert_eq!(
            rewritten("Write-Output $env:x", &value).unwrap(),
            format!("Write-Output 'a{quote}{quote}; calc; {quote}{quote}b'")
        );
        let four = quote.repeat(4);
        assert_eq!(
            rewritten("Write-Output 'hello $env:x!'", &value).unwrap(),
            format!("Write-Output 'hello ''a{four}; calc; {four}b''!'")
        );
    }
}

#[test]
fn what_could_get_out_of_double_quotes_is_refused_with_its_reason() {
    for character in ["\"", "“", "”", "„", "`", "$"] {
        let value = format!("a{character}b");
        for script in [
            "Write-Output \"hello $env:x!\"",
            "Write-Output \"$(1 + 1) ${a} `\" $env:x\"",
        ] {
            assert_eq!(
                rewritten(script, &value).unwrap_err().to_string(),
                "The value of x is refused: the script has it inside double quotes, where a double quote, a backtick or a \
                 $ could become code",
                "{script} {value}"
            );
        }
        // Elsewhere it is a character like any other.
        assert_eq!(rewritten("$env:x", &value).unwrap(), format!("'{value}'"));
        assert_eq!(
            rewritten("\"$(Get-Thing $env:x)\"", &value).unwrap(),
            format!("\"$(Get-Thing '{value}')\"")
        );
    }
}

#[test]
fn what_cannot_do_harm_is_not_refused() {
    for (script, value, expected) in [
        (
            "\"hello $env:x!\"",
            "O'Neil & sons; #1 (new)\n{2}",
            "\"hello 'O''Neil & sons; #1 (new)\n{2}'!\"",
        ),
        ("@\"\n{$env:x}\n\"@", "say \"hi\"", "@\"\n{'say \"hi\"'}\n\"@"),
        ("@'\n$env:x\n'@", "a\n'@\nb", "@'\n'a\n''@\nb'\n'@"),
        ("# don't\n$env:x", "a'b", "# don't\n'a''b'"),
        ("# $env:x\n$env:x", "a\nb", "# $env:x\n'a\nb'"),
        ("<# $env:x #>$env:x", "a#>b", "<# $env:x #>'a#>b'"),
        ("`$env:x", "word_1", "`'word_1'"),
        ("'don''t ' + $env:x", "a;b", "'don''t ' + 'a;b'"),
        ("$t=@\"\n it's $env:x\n\"@", "a b", "$t=@\"\n it's 'a b'\n\"@"),
        ("", "", ""),
    ] {
        assert_eq!(rewritten(script, value).as_deref(), Ok(expected), "{script}");
    }
}

#[test]
fn what_stands_in_no_quotes_of_its_own_must_be_a_word() {
    for script in ["`$env:x", "${$env:x}", "\"${$env:x}\"", "cmd --% $env:x"] {
        assert!(rewritten(script, "word").is_ok(), "{script}");
        for value in ["a;b", "a b", "a|b", "}", "-x"] {
            let refused = rewritten(script, value).unwrap_err().to_string();
            assert!(refused.contains("outside of any quotes"), "{script} {refused}");
        }
    }
    // With the legacy's policy it stands as the legacy writes it.
    let overrides = Overrides::from_iter([("x".to_owned(), "a$b".into())]);
    let filled = fill(&[], &overrides);
    assert_eq!(
        filled.rewrite("\"$env:x\"", EscapePolicy::Allow).as_deref(),
        Ok("\"'a$b'\"")
    );
}
