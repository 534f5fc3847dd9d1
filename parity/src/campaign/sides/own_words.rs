//! What is a side's own in what it shows, and would be another side's otherwise.

use serde_json::Value;

use crate::mask::{Mask, Masked};

/// Leaves the machine's own name out of certificates: another machine has another one.
pub(super) fn without_machine(value: &mut Value, machine: &str, masked: &mut Masked) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Array(names)) = members.get_mut("alternative_names") {
                let is_machine = |name: &Value| {
                    let name = name.as_str();
                    name.is_some_and(|name| name.eq_ignore_ascii_case(machine))
                };
                for _ in names.extract_if(.., |name| is_machine(name)) {
                    masked.note(Mask::MachineName);
                }
            }
            members
                .values_mut()
                .for_each(|value| without_machine(value, machine, masked));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|value| without_machine(value, machine, masked)),
        _ => {}
    }
}

/// Puts what stands for a run's own values into their places.
pub(super) fn in_common_words(value: &mut Value, own: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (own, common) in own.iter().filter(|(own, _)| !own.is_empty()) {
                if text.contains(own.as_str()) {
                    *text = text.replace(own, common);
                }
            }
        }
        Value::Object(members) => members.values_mut().for_each(|value| in_common_words(value, own)),
        Value::Array(items) => items.iter_mut().for_each(|value| in_common_words(value, own)),
        _ => {}
    }
}

/// Who signed a cookie is known where the secret is: of a server that keeps it to itself nobody can say.
pub(super) fn forget_signers(value: &mut Value, masked: &mut Masked) {
    match value {
        Value::Object(members) => {
            for (key, value) in members.iter_mut() {
                if key == "signed_as" {
                    *value = Value::Null;
                    masked.note(Mask::Signer);
                } else {
                    forget_signers(value, masked);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|value| forget_signers(value, masked)),
        _ => {}
    }
}
