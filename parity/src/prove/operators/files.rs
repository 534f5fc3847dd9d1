//! Files that the server left, and what it asked of GitHub.

use super::{Change, Operator, other_letter};
use crate::{
    prove::subject::set_file,
    transcript::{Asked, Body},
};

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "file-removed",
        sentence: "a file is missing",
        change: Change::File(|files, name| files.remove(name).map(|_| ())),
    },
    Operator {
        name: "file-added",
        sentence: "one more file, with the content of each",
        change: Change::File(|files, name| {
            let file = files.get(name)?.clone();
            files.insert(format!("{name}.added"), file);
            Some(())
        }),
    },
    Operator {
        name: "file-renamed",
        sentence: "a file of another name",
        change: Change::File(|files, name| {
            let file = files.remove(name)?;
            files.insert(format!("{name}.renamed"), file);
            Some(())
        }),
    },
    Operator {
        name: "file-mode",
        sentence: "a file that everybody may write",
        change: Change::File(|files, name| {
            let mode = &mut files.get_mut(name)?.mode;
            *mode = if mode == "0o666" { "0o600" } else { "0o666" }.to_owned();
            Some(())
        }),
    },
    Operator {
        name: "file-emptied",
        sentence: "a file without content",
        change: Change::File(|files, name| {
            let file = files.get_mut(name)?;
            if file.content.is_some() {
                return set_file(file, "");
            }
            if let Some(Body::Base64(text)) = &mut file.content {
                text.clear();
            }
            file.size = 0;
            file.sha256 = crate::normalize::sha256_hex(b"");
            Some(())
        }),
    },
    Operator {
        name: "file-longer",
        sentence: "a file with one more byte",
        change: Change::File(|files, name| {
            let file = files.get_mut(name)?;
            if let Some(Body::Text(text)) = &file.content {
                let text = format!("{text}\n");
                return set_file(file, &text);
            }
            if let Some(Body::Base64(text)) = &mut file.content {
                text.insert_str(0, "AAAA");
            }
            file.size += 1;
            file.sha256 = crate::normalize::sha256_hex(file.sha256.as_bytes());
            Some(())
        }),
    },
    Operator {
        name: "file-other-content",
        sentence: "a file of which only the digest is kept, with another one of the same length",
        change: Change::File(|files, name| {
            let file = files.get_mut(name).filter(|file| file.content.is_none())?;
            file.sha256 = crate::normalize::sha256_hex(file.sha256.as_bytes());
            Some(())
        }),
    },
    Operator {
        name: "asked-lost",
        sentence: "the server does not ask GitHub what it asked",
        change: Change::Asked(|requests, at| {
            requests.remove(at);
            Some(())
        }),
    },
    Operator {
        name: "asked-doubled",
        sentence: "the server asks GitHub twice",
        change: Change::Asked(|requests, at| {
            requests.push(requests.get(at)?.clone());
            Some(())
        }),
    },
    Operator {
        name: "asked-path",
        sentence: "the server asks GitHub for another path",
        change: Change::Asked(|requests, at| {
            let path = &mut requests.get_mut(at)?.path;
            *path = other_letter(path, 0)?;
            Some(())
        }),
    },
    Operator {
        name: "asked-method",
        sentence: "the server asks GitHub with another method",
        change: Change::Asked(|requests, at| {
            let method = &mut requests.get_mut(at)?.method;
            *method = if method == "GET" { "POST" } else { "GET" }.to_owned();
            Some(())
        }),
    },
    Operator {
        name: "asked-authorization",
        sentence: "the server shows GitHub another token, or one where it showed none",
        change: Change::Asked(|requests, at| {
            let Asked { authorization, .. } = requests.get_mut(at)?;
            *authorization = match authorization {
                Some(text) => other_letter(text, 7).or_else(|| other_letter(text, 0)),
                None => Some("Bearer x".to_owned()),
            };
            Some(())
        }),
    },
    Operator {
        name: "asked-body",
        sentence: "the server sends GitHub another body",
        change: Change::Asked(|requests, at| {
            requests.get_mut(at)?.body.push(' ');
            Some(())
        }),
    },
];
