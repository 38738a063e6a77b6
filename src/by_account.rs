//! Items that wait, taken in turn by account, so that an account which sends as fast as it can delays itself, and not the
//! others.

use std::collections::{HashMap, VecDeque};

/// A bounded number of items.
pub(crate) struct ByAccount<T> {
    max: usize,
    account_of: fn(&T) -> &str,
    /// The items of each account, in the order in which they came. No account is without any.
    accounts: HashMap<String, VecDeque<T>>,
    /// The accounts, the one whose turn it is first.
    turns: VecDeque<String>,
    items: usize,
}

impl<T> ByAccount<T> {
    /// Room for at most so many items.
    pub(crate) fn new(max: usize, account_of: fn(&T) -> &str) -> Self {
        Self { max, account_of, accounts: HashMap::new(), turns: VecDeque::new(), items: 0 }
    }

    /// How many items wait.
    pub(crate) const fn len(&self) -> usize {
        self.items
    }

    /// Whether none waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Adds an item. If there is no room, one has to go, which is returned: the newest one of the account with the most
    /// items, or this one.
    pub(crate) fn add(&mut self, item: T) -> Option<T> {
        let account = (self.account_of)(&item);
        let mut given_way = None;
        if self.items == self.max {
            let own = self.accounts.get(account).map_or(0, VecDeque::len);
            let most = self.accounts.values_mut().max_by_key(|items| items.len());
            // Two more, so that after the exchange it still has as many as this account.
            let Some(most) = most.filter(|items| items.len() >= own + 2) else {
                return Some(item);
            };
            given_way = most.pop_back();
            self.items -= 1;
        }
        self.items += 1;
        if let Some(items) = self.accounts.get_mut(account) {
            items.push_back(item);
        } else {
            let account = account.to_owned();
            self.turns.push_back(account.clone());
            self.accounts.insert(account, VecDeque::from([item]));
        }
        given_way
    }

    /// Takes at most so many items, one of each account in turn.
    pub(crate) fn take(&mut self, max: usize) -> Vec<T> {
        let max = max.min(self.items);
        let mut taken = Vec::with_capacity(max);
        while taken.len() < max
            && let Some(item) = self.take_one(|_| true)
        {
            taken.push(item);
        }
        taken
    }

    /// Takes all items of the account with the most.
    pub(crate) fn take_most(&mut self) -> VecDeque<T> {
        let most =
            self.accounts.iter().max_by_key(|(_, items)| items.len()).map(|(account, _)| account.clone());
        let Some((account, items)) = most.and_then(|account| self.accounts.remove_entry(&account)) else {
            return VecDeque::new();
        };
        self.turns.retain(|turn| *turn != account);
        self.items -= items.len();
        items
    }

    /// Takes the oldest item of the first account in turn for which it is wanted. Accounts before it keep their turn.
    pub(crate) fn take_one(&mut self, mut is_wanted: impl FnMut(&T) -> bool) -> Option<T> {
        let oldest = |account: &String| self.accounts.get(account).and_then(VecDeque::front);
        let place = self.turns.iter().position(|account| oldest(account).is_some_and(&mut is_wanted))?;
        let account = self.turns.remove(place)?;
        let items = self.accounts.get_mut(&account)?;
        let item = items.pop_front()?;
        if items.is_empty() {
            self.accounts.remove(&account);
        } else {
            self.turns.push_back(account);
        }
        self.items -= 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_items_of_the_account_with_the_most_are_taken() {
        let mut items = ByAccount::new(10, |item: &(&'static str, i32)| item.0);
        for item in [("a", 1), ("b", 2), ("b", 3), ("c", 4)] {
            assert_eq!(items.add(item), None);
        }
        assert_eq!(items.take_most(), [("b", 2), ("b", 3)]);
        assert_eq!((items.len(), items.take(10)), (2, vec![("a", 1), ("c", 4)]));
        assert!(items.take_most().is_empty() && items.is_empty());
    }

    /// Adds an item for each number, named by its account and the number. Returns those that had to go.
    fn add(items: &mut ByAccount<String>, account: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.filter_map(|number| items.add(format!("{account}-{number}"))).collect()
    }

    fn room_for(max: usize) -> ByAccount<String> {
        ByAccount::new(max, |item| item.split('-').next().unwrap())
    }

    #[test]
    fn an_account_with_few_items_does_not_wait_for_those_of_another() {
        let mut items = room_for(100);
        assert!(add(&mut items, "flood", 0..50).is_empty());
        assert!(add(&mut items, "few", 0..2).is_empty());

        assert_eq!(items.take(6), ["flood-0", "few-0", "flood-1", "few-1", "flood-2", "flood-3"]);
        assert_eq!(items.len(), 46);
        let taken = items.take(100);
        assert_eq!((taken[0].as_str(), taken.len(), items.is_empty()), ("flood-4", 46, true));
    }

    #[test]
    fn an_account_whose_oldest_item_is_not_wanted_keeps_its_turn() {
        let mut items = room_for(100);
        for account in ["one", "two", "three"] {
            add(&mut items, account, 0..2);
        }
        assert_eq!(items.take_one(|item| item.starts_with("two")).unwrap(), "two-0");
        assert_eq!(items.take_one(|item| item.ends_with('7')), None);
        assert_eq!(items.take(9), ["one-0", "three-0", "two-1", "one-1", "three-1"]);
    }

    #[test]
    fn if_there_is_no_room_the_account_with_the_most_items_gives_way() {
        let mut items = room_for(4);
        assert_eq!(add(&mut items, "flood", 0..6), ["flood-4", "flood-5"], "nobody else could give way");
        assert_eq!(add(&mut items, "few", 0..3), ["flood-3", "flood-2", "few-2"], "each has its half");
        assert_eq!(add(&mut items, "other", 0..1).len(), 1);
        assert_eq!(add(&mut items, "other", 1..2), ["other-1"]);

        let mut taken = items.take(9);
        taken.sort();
        assert_eq!(taken.len(), 4);
        assert!(taken.contains(&"flood-0".to_owned()) && taken.contains(&"other-0".to_owned()), "{taken:?}");
    }
}
