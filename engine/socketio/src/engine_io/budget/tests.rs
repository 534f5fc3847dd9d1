//! The ways in which clients can stand in each other's way.

use std::task::{Context, Wake, Waker};

use super::*;

fn reads_on(reading: &Reading) -> bool {
    reading.reads_on()
}

/// A connection that has this budget, and a message of it.
fn connection(budget: &Budget) -> (ReceiveBudget, Arc<Reading>) {
    let receive = ReceiveBudget::new(&Limits {
        budget: budget.clone(),
        ..Limits::default()
    });
    let reading = receive.reading();
    (receive, reading)
}

fn budgets<const N: usize>(bytes: usize) -> [(ReceiveBudget, Arc<Reading>); N] {
    let budget = Budget::new(bytes);
    std::array::from_fn(|_| connection(&budget))
}

#[test]
fn long_messages_are_read_as_far_as_there_is_room_and_short_ones_beside_them() {
    let [
        (one, of_one),
        (_, of_second),
        (_, of_other),
        (_, of_third),
        (short, of_short),
    ] = budgets(4_000_000);
    of_one.note_read(2_500_000);
    assert!(reads_on(&of_one));
    // The first has taken both pieces and goes on alone; two go on beyond the share, and the third waits.
    of_second.note_read(1_000_000);
    assert!(reads_on(&of_second));
    of_one.note_read(90_000_000);
    assert!(reads_on(&of_one));
    of_other.note_read(999_999);
    of_third.note_read(999_999);
    assert!(reads_on(&of_other) && reads_on(&of_third));
    of_other.note_read(1);
    of_third.note_read(1);
    assert!(reads_on(&of_other));
    assert!(!reads_on(&of_third));
    assert!(short.try_acquire(900_000, &of_short).is_some());
    let permit = one.try_acquire(92_500_000, &of_one).unwrap();
    assert!(!reads_on(&of_third));
    drop(permit);
    assert!(reads_on(&of_third));
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn long_messages_that_hold_all_there_is_end_one_after_the_other() {
    let mut readers: Vec<_> = budgets::<5>(8_000_000).into();
    for (_, reading) in &readers {
        reading.note_read(1_500_000);
    }
    let mut ended = 0;
    while !readers.is_empty() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let goes_on = |(_, reading): &(ReceiveBudget, Arc<Reading>)| {
            reading.poll_read_on(&mut Context::from_waker(&waker)).is_ready()
        };
        // All that may read on do, up to their ends of 6.5 MB.
        let Some(place) = readers.iter().position(|reader| {
            while goes_on(reader) && reader.1.bytes() < 6_500_000 {
                reader.1.note_read(500_000);
            }
            goes_on(reader)
        }) else {
            panic!("{ended} ended, and the others wait for each other");
        };
        let (budget, reading) = readers.remove(place);
        drop(budget.try_acquire(6_500_000, &reading));
        ended += 1;
    }
    let [(budget, _)] = budgets(8_000_000);
    assert_eq!(Budget::waiting(&[budget.budget]), 0);
}

#[test]
fn who_is_given_a_piece_waits_no_more_to_go_beyond_the_share() {
    let [
        (one, of_one),
        (two, of_two),
        (_, of_other),
        (_, of_three),
        (_, of_four),
    ] = budgets(4_000_000);
    for reading in [&of_one, &of_two, &of_other] {
        reading.note_read(2_500_000);
    }
    // One has both pieces, two and another go beyond, three waits in both queues.
    assert!(reads_on(&of_one) && reads_on(&of_two) && reads_on(&of_other));
    of_three.note_read(1_500_000);
    assert!(!reads_on(&of_three));
    drop(one.try_acquire(2_500_000, &of_one));
    assert!(reads_on(&of_three));
    // What two gives back is there for who waits, and not kept for three.
    of_three.note_read(1_000_000);
    of_four.note_read(2_500_000);
    assert!(reads_on(&of_three));
    assert!(!reads_on(&of_four));
    drop(two.try_acquire(2_500_000, &of_two));
    assert!(reads_on(&of_four));
}

/// What is read at so many places of each of these senders, in this order.
fn readings<const N: usize>(senders: &Senders<&'static str>, who: [&'static str; N]) -> [Arc<Reading>; N] {
    who.map(|sender| connection(&senders.budget_of(sender)).1)
}

#[test]
fn who_has_begun_many_long_messages_keeps_nobody_waiting_but_himself() {
    // 32 pieces, of which one sender has eight.
    let senders = Senders::new(Budget::new(64_000_000));
    let slow = readings(&senders, ["slow"; 12]);
    let reads: Vec<_> = slow
        .iter()
        .map(|reading| {
            reading.note_read(1_000_000);
            reads_on(reading)
        })
        .collect();
    // Eight with a piece each, and one that goes on beyond; the rest waits although there are pieces.
    assert_eq!(reads.iter().filter(|reads| **reads).count(), 9);
    let [long, short] = readings(&senders, ["other", "other"]);
    long.note_read(7_900_000);
    assert!(reads_on(&long));
    // Beyond its own part of the pieces there is still the turn of going on that is not the slow one's.
    long.note_read(80_000_000);
    assert!(reads_on(&long));
    short.note_read(999_999);
    assert!(reads_on(&short));
    // And a third that needs pieces alone.
    let [third] = readings(&senders, ["third"]);
    third.note_read(5_000_000);
    assert!(reads_on(&third));
    drop(slow);
    assert!(reads_on(&third));
}

#[test]
fn what_one_sender_has_begun_is_counted_before_it_is_long() {
    // A quarter of it is 4 MB, in steps of 64 kB: 62 of them.
    let senders = Senders::new(Budget::new(16_000_000));
    let begun = readings(&senders, ["one"; 70]);
    for reading in &begun {
        reading.note_read(STEP - 1);
        assert!(reads_on(reading));
        reading.note_read(1);
    }
    let reads = begun.iter().filter(|reading| reads_on(reading)).count();
    assert_eq!(reads, 62 + 1);
    let [other] = readings(&senders, ["other"]);
    other.note_read(900_000);
    assert!(reads_on(&other));
    // The same sender connects again: it is still the same one.
    let [again] = readings(&senders, ["one"]);
    again.note_read(STEP);
    assert!(!reads_on(&again));
    for reading in &begun {
        reading.take();
    }
    assert!(reads_on(&again));
}

#[test]
fn senders_that_left_are_forgotten() {
    let senders = Senders::new(Budget::new(16_000_000));
    let stays = senders.budget_of(0);
    for sender in 1..1000 {
        senders.budget_of(sender);
    }
    assert!(senders.count() < 130, "{}", senders.count());
    assert!(Arc::ptr_eq(
        stays.sender.as_ref().unwrap(),
        senders.budget_of(0).sender.as_ref().unwrap()
    ));
}

#[test]
fn one_sender_parks_a_quarter_and_short_messages_of_one_leave_room_for_others() {
    let senders = Senders::new(Budget::new(16_000_000));
    let (one, other) = (senders.budget_of("one"), senders.budget_of("other"));
    let (mut large, mut more, mut of_other) = (Parked::default(), Parked::default(), Parked::default());
    assert!(large.grow(&one, 50_000_000));
    assert!(!more.grow(&one, 5_000));
    assert!(of_other.grow(&other, 900_000));
    let (first, of_first) = connection(&one);
    let (second, of_second) = connection(&one);
    let held = first.try_acquire(999_999, &of_first);
    assert!(held.is_some());
    assert!(second.try_acquire(10_000, &of_second).is_none());
    let (theirs, of_theirs) = connection(&other);
    assert!(theirs.try_acquire(999_999, &of_theirs).is_some());
}

#[test]
fn what_was_read_of_no_message_takes_nothing() {
    let [(budget, reading)] = budgets(8_000_000);
    for _ in 0..100 {
        reading.note_read(60_006);
        reading.forget(60_006);
    }
    reading.note_read(600_000);
    drop(reading.take());
    reading.note_read(600_000);
    assert!(reads_on(&reading));
    assert_eq!(Budget::waiting(&[budget.budget]), 0);
}

#[test]
fn short_messages_wait_for_one_another_and_for_those_of_all() {
    let [(one, of_one), (other, of_other), (third, of_third)] = budgets(20_000_000);
    let held: Vec<_> = (0..4)
        .map(|_| one.try_acquire(999_000, &of_one).unwrap())
        .collect();
    assert!(one.try_acquire(999_000, &of_one).is_none());
    assert!(other.try_acquire(999_000, &of_other).is_some());
    let other_held = other.try_acquire(999_000, &of_other).unwrap();
    assert!(third.try_acquire(999_000, &of_third).is_none());
    drop((held, other_held));
    assert!(third.try_acquire(999_000, &of_third).is_some());
}

#[test]
fn what_waits_for_the_rest_of_its_packet_has_a_share_of_its_own_and_one_alone_may_be_larger() {
    let budget = Budget::new(8_000_000);
    let (mut large, mut other, mut little) = (Parked::default(), Parked::default(), Parked::default());
    assert!(large.grow(&budget, 1_000_000));
    assert!(large.grow(&budget, 50_000_000));
    assert!(!other.grow(&budget, 5_000));
    assert!(little.grow(&budget, 4_000));
    assert_eq!(Budget::waiting(std::slice::from_ref(&budget)), 2_000_000);
    drop(large);
    assert!(other.grow(&budget, 5_000));
    let last = Arc::new(Permit::of(Vec::new()));
    drop(other.with(last));
    assert_eq!(Budget::waiting(&[budget]), 0);
}
