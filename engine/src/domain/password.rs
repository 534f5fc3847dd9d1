//! Passwords that the server generates.

use super::random::{Random, random_bytes};

const LENGTH: usize = 24;
const CLASSES: [&[u8]; 4] = [
    b"abcdefghijklmnopqrstuvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"0123456789",
    b"!@#$%^&*()-_=+[]{}<>.?",
];

/// A password of 24 characters, at least one of each class that password policies ask for.
pub fn generated_password(random: &dyn Random) -> String {
    let all = CLASSES.concat();
    let mut characters: Vec<u8> = CLASSES
        .iter()
        .map(|class| pick(class, random))
        .chain(std::iter::repeat_with(|| pick(&all, random)))
        .take(LENGTH)
        .collect();
    for last in (1..characters.len()).rev() {
        characters.swap(last, below(last + 1, random));
    }
    characters.into_iter().map(char::from).collect()
}

fn pick(characters: &[u8], random: &dyn Random) -> u8 {
    characters
        .get(below(characters.len(), random))
        .copied()
        .unwrap_or_default()
}

/// A number below `bound` (at most 256), every one equally likely.
fn below(bound: usize, random: &dyn Random) -> usize {
    let fair = 256 - 256 % bound;
    loop {
        let [byte] = random_bytes(random);
        if usize::from(byte) < fair {
            return usize::from(byte) % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::integrations::random::SeededRandom;

    proptest! {
        #[test]
        fn every_password_has_every_class(seed in any::<u64>()) {
            let password = generated_password(&SeededRandom::new(seed));
            prop_assert_eq!(password.len(), LENGTH);
            for class in CLASSES {
                prop_assert!(password.bytes().any(|byte| class.contains(&byte)), "{}", password);
            }
            prop_assert!(password.bytes().all(|byte| CLASSES.concat().contains(&byte)));
        }
    }

    #[test]
    fn classes_stand_anywhere_and_numbers_are_fair() {
        let random = SeededRandom::new(1);
        let first: BTreeSet<_> = (0..500)
            .filter_map(|_| generated_password(&random).bytes().next())
            .collect();
        assert!(first.len() > 70, "{}", first.len());
        let mut counts = [0_u32; 84];
        for _ in 0..84_000 {
            counts[below(84, &random)] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }
}
