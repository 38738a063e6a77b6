//! Decides whether the history of a customer is linearizable: whether its operations can be put in one order that
//! respects real time, and in which each one gives the reply that its client got.
//!
//! The search is the one of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of Lowe
//! ("Testing for linearizability", 2017). Without that memory it takes exponential time.

use std::collections::HashSet;

use customers_api::{
    signature_id::{Proof, SignatureId},
    store::{Change, Condition, Current, Decision, Effect, NewVersion, Outcome, Record, Version, decide},
};

/// The content of one put. No two puts have the same.
pub(super) type Content = u32;

/// What a client asks of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Put(Content, When),
    Get,
    /// If the customer has this content; `None` means any.
    Delete(Option<Content>),
}

/// When a put is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Absent,
    Present,
    Holds(Content),
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Created,
    Updated,
    Deleted,
    Found(Content),
    NotFound,
    ConditionFailed,
}

/// One operation of a history: a request, however often it was sent. It was carried out once, after it was sent first and
/// before anybody was told what became of it. Times are counted, not measured: no two are equal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) call: Call,
    pub(super) invoked: u64,
    /// The reply and its time. Without a reply it may have happened at any time after the call, or never.
    pub(super) reply: Option<(Reply, u64)>,
}

impl Operation {
    fn replied(&self) -> u64 {
        self.reply.map_or(u64::MAX, |(_, time)| time)
    }
}

/// The reply to a call, and the customer afterwards, as the service itself decides. No signature was used before: a request
/// that is sent several times is one operation.
pub(super) fn carry_out(call: Call, customer: Option<Content>) -> (Reply, Option<Content>) {
    let change = match call {
        Call::Get => return (customer.map_or(Reply::NotFound, Reply::Found), customer),
        Call::Put(content, when) => {
            let new = NewVersion::of(Some(proof(content)));
            let condition = match when {
                When::Always => Condition::Always,
                When::Absent => Condition::Absent,
                When::Present => Condition::Present,
                When::Holds(held) => Condition::OneOf(vec![version(held)]),
            };
            Change::Put { record: Record { bytes: Vec::new(), sealed_by: None }, new, condition }
        }
        Call::Delete(held) => {
            Change::Delete { new: NewVersion::of(None), if_match: held.map(|held| vec![version(held)]) }
        }
    };
    let current = customer.map(|content| Current {
        version: Some(version(content)),
        created: 0,
        updated: 0,
        signature_expires_at: None,
    });
    let Decision { outcome, effect, .. } = decide(&change, 1, current.as_ref(), None, 0, None);
    let reply = match outcome {
        Outcome::Created(_) => Reply::Created,
        Outcome::Updated(_) => Reply::Updated,
        Outcome::ConditionFailed => Reply::ConditionFailed,
        Outcome::Deleted => Reply::Deleted,
        Outcome::NotFound => Reply::NotFound,
    };
    let after = match (effect, call) {
        (Effect::Write(_), Call::Put(content, _)) => Some(content),
        (Effect::Delete, _) => None,
        _ => customer,
    };
    (reply, after)
}

/// What proves who puts this content. The version is the hash of the signature.
fn proof(content: Content) -> Proof {
    let hash = (u128::from(content) + 1).to_be_bytes();
    Proof { signature: SignatureId { expires_at: 1, hash }, key_id: String::new() }
}

fn version(content: Content) -> Version {
    NewVersion::of(Some(proof(content))).version()
}

/// The operations that are already in order, one bit for each.
type Done = u128;

/// Whether the history of a customer that did not exist before is linearizable.
pub(super) fn is_linearizable(history: &[Operation]) -> bool {
    assert!(history.len() <= Done::BITS as usize, "a history has at most {} operations", Done::BITS);
    Search { history, seen: HashSet::new() }.can_finish(0, None)
}

struct Search<'a> {
    history: &'a [Operation],
    seen: HashSet<(Done, Option<Content>)>,
}

impl Search<'_> {
    fn can_finish(&mut self, done: Done, customer: Option<Content>) -> bool {
        let rest = || self.history.iter().enumerate().filter(move |(index, _)| done & (1 << index) == 0);
        let Some(deadline) =
            rest().filter(|(_, operation)| operation.reply.is_some()).map(|(_, next)| next.replied()).min()
        else {
            return true;
        };
        if !self.seen.insert((done, customer)) {
            return false;
        }
        let mut branches = Vec::new();
        for (index, operation) in rest().filter(|(_, operation)| operation.invoked < deadline) {
            let (reply, after) = carry_out(operation.call, customer);
            let is_as_told = operation.reply.is_none_or(|(told, _)| told == reply);
            if !is_as_told {
                continue;
            }
            if after != customer {
                branches.push((done | 1 << index, after));
            } else if operation.reply.is_some() {
                // It may come first without a loss: it changes nothing for the others.
                return self.can_finish(done | 1 << index, customer);
            }
        }
        branches.into_iter().any(|(done, customer)| self.can_finish(done, customer))
    }
}

/// A history as lines, in the order of the calls.
pub(super) fn describe(history: &[Operation]) -> String {
    let mut history = history.to_vec();
    history.sort_by_key(|operation| operation.invoked);
    let line = |Operation { call, invoked, reply }: &Operation| match reply {
        Some((reply, replied)) => format!("{invoked:>6} to {replied:>6}: {call:?}: {reply:?}\n"),
        None => format!("{invoked:>6} to      ?: {call:?}: nobody knows\n"),
    };
    history.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        Reply::{ConditionFailed, Created, Deleted, Found, NotFound, Updated},
        *,
    };
    use crate::support::Dice;

    const fn told(invoked: u64, replied: u64, call: Call, reply: Reply) -> Operation {
        Operation { call, invoked, reply: Some((reply, replied)) }
    }

    fn unknown(invoked: u64, call: Call) -> Operation {
        Operation { call, invoked, reply: None }
    }

    const PUT_1: Call = Call::Put(1, When::Always);
    const PUT_2: Call = Call::Put(2, When::Always);
    const NEW_1: Call = Call::Put(1, When::Absent);
    const NEW_2: Call = Call::Put(2, When::Absent);
    const FIRST: Operation = told(0, 1, PUT_1, Created);

    fn impossible() -> [(&'static str, Vec<Operation>); 13] {
        [
            ("content that nobody put", vec![told(0, 1, Call::Get, Found(9))]),
            (
                "an old content after a new one",
                vec![FIRST, told(2, 3, PUT_2, Updated), told(4, 5, Call::Get, Found(1))],
            ),
            (
                "the new content and then the old one, while the put goes on",
                vec![
                    FIRST,
                    told(2, 9, PUT_2, Updated),
                    told(3, 4, Call::Get, Found(2)),
                    told(5, 6, Call::Get, Found(1)),
                ],
            ),
            ("a lost write", vec![FIRST, told(2, 3, Call::Get, NotFound)]),
            ("two creations", vec![told(0, 5, PUT_1, Created), told(1, 4, PUT_2, Created)]),
            (
                "two creations of what must be new",
                vec![told(0, 5, NEW_1, Created), told(1, 4, NEW_2, Created)],
            ),
            (
                "an unconditional delete whose condition failed",
                vec![told(0, 3, Call::Delete(None), ConditionFailed), told(1, 2, PUT_1, Created)],
            ),
            (
                "two deletes of one customer",
                vec![
                    FIRST,
                    told(2, 5, Call::Delete(None), Deleted),
                    told(3, 4, Call::Delete(Some(1)), Deleted),
                ],
            ),
            (
                "two updates of one version",
                vec![
                    FIRST,
                    told(2, 5, Call::Put(2, When::Holds(1)), Updated),
                    told(3, 4, Call::Put(3, When::Holds(1)), Updated),
                ],
            ),
            (
                "an update of a customer that is gone",
                vec![
                    FIRST,
                    told(2, 3, Call::Delete(None), Deleted),
                    told(4, 5, Call::Put(2, When::Present), Updated),
                ],
            ),
            ("an unknown put before it was sent", vec![told(0, 1, Call::Get, Found(1)), unknown(2, PUT_1)]),
            (
                "an unknown put that comes and goes",
                vec![
                    FIRST,
                    unknown(2, PUT_2),
                    told(3, 4, Call::Get, Found(2)),
                    told(5, 6, Call::Get, Found(1)),
                ],
            ),
            (
                "an unknown put that happens twice",
                vec![
                    unknown(0, PUT_2),
                    told(1, 2, Call::Get, Found(2)),
                    told(3, 4, PUT_1, Updated),
                    told(5, 6, Call::Get, Found(2)),
                ],
            ),
        ]
    }

    #[test]
    fn what_cannot_have_happened_is_found() {
        for (reason, history) in impossible() {
            assert!(!is_linearizable(&history), "{reason}:\n{}", describe(&history));
        }
    }

    #[test]
    fn what_may_have_happened_is_accepted() {
        let possible: [(&str, Vec<Operation>); 6] = [
            ("nothing", vec![]),
            (
                "either order of two puts at once",
                vec![told(0, 3, PUT_1, Updated), told(1, 2, PUT_2, Created), told(4, 5, Call::Get, Found(1))],
            ),
            (
                "a delete between",
                vec![
                    told(0, 9, Call::Delete(None), Deleted),
                    told(1, 8, PUT_1, Created),
                    told(2, 7, NEW_2, Created),
                    told(3, 6, Call::Delete(Some(2)), NotFound),
                ],
            ),
            ("an unknown put that never happened", vec![unknown(0, PUT_1), told(1, 2, Call::Get, NotFound)]),
            (
                "an unknown put that happens much later",
                vec![
                    unknown(0, PUT_1),
                    told(1, 2, PUT_2, Created),
                    told(3, 4, Call::Get, Found(2)),
                    told(5, 6, Call::Get, Found(1)),
                ],
            ),
            (
                "a condition that failed because of an unknown delete",
                vec![
                    FIRST,
                    unknown(2, Call::Delete(Some(1))),
                    told(3, 4, Call::Put(2, When::Present), ConditionFailed),
                ],
            ),
        ];
        for (reason, history) in possible {
            assert!(is_linearizable(&history), "{reason}:\n{}", describe(&history));
        }
    }

    /// The definition itself: tries every order of every choice of the operations without a reply.
    fn is_linearizable_by_definition(history: &[Operation], taken: &mut Vec<usize>) -> bool {
        let mut customer = None;
        for (position, &index) in taken.iter().enumerate() {
            let Operation { call, invoked: _, reply } = history[index];
            let is_in_time =
                taken[position..].iter().all(|&later| history[later].replied() >= history[index].invoked);
            let (would_reply, after) = carry_out(call, customer);
            if !is_in_time || reply.is_some_and(|(told, _)| told != would_reply) {
                return false;
            }
            customer = after;
        }
        let missing = |index: &usize| !taken.contains(index);
        if (0..history.len()).filter(missing).all(|index| history[index].reply.is_none()) {
            return true;
        }
        (0..history.len()).filter(missing).collect::<Vec<_>>().into_iter().any(|index| {
            taken.push(index);
            let found = is_linearizable_by_definition(history, taken);
            taken.pop();
            found
        })
    }

    fn random_history(dice: &mut Dice) -> Vec<Operation> {
        let operations = 1 + dice.roll(6);
        let mut times: Vec<u64> = (0..2 * operations).collect();
        let mut time = |dice: &mut Dice| times.swap_remove(dice.pick(times.len()));
        let content = |dice: &mut Dice| dice.number(3);
        let operation = |number: u64| {
            let (a, b) = (time(dice), time(dice));
            let held = content(dice);
            let put = |when| Call::Put(Content::try_from(number).unwrap(), when);
            let when = [When::Always, When::Absent, When::Present, When::Holds(held)][dice.pick(4)];
            let call = [put(when), put(when), Call::Get, Call::Delete(None), Call::Delete(Some(held))];
            let call = call[dice.pick(call.len())];
            let held = [None, Some(content(dice))][dice.pick(2)];
            let reply = (carry_out(call, held).0, a.max(b));
            Operation { call, invoked: a.min(b), reply: (dice.roll(5) > 0).then_some(reply) }
        };
        (0..operations).map(operation).collect()
    }

    #[test]
    fn the_search_decides_as_the_definition_does() {
        let (mut dice, mut verdicts) = (Dice::new(1), [0, 0]);
        for _ in 0..5_000 {
            let history = random_history(&mut dice);
            let verdict = is_linearizable(&history);
            assert_eq!(
                verdict,
                is_linearizable_by_definition(&history, &mut Vec::new()),
                "{}",
                describe(&history)
            );
            verdicts[usize::from(verdict)] += 1;
        }
        assert!(verdicts.iter().all(|&count| count > 500), "both verdicts are tried: {verdicts:?}");
    }
}
