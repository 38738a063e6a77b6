//! Items that wait, taken in turn by account, so that an account which sends as fast as it can delays itself, and not the
//! others.

use std::collections::{HashMap, VecDeque};

/// A bounded number of items.
pub struct ByAccount<T> {
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
    #[must_use]
    pub fn new(max: usize, account_of: fn(&T) -> &str) -> Self {
        Self { max, account_of, accounts: HashMap::new(), turns: VecDeque::new(), items: 0 }
    }

    /// How many items wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Adds an item. If there is no room, one has to go, which is returned: the newest one of the account with the most
    /// items, or this one.
    pub fn add(&mut self, item: T) -> Option<T> {
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
    pub fn take(&mut self, max: usize) -> Vec<T> {
        let mut taken = Vec::with_capacity(max.min(self.items));
        while taken.len() < max
            && let Some(account) = self.turns.pop_front()
        {
            let Some(items) = self.accounts.get_mut(&account) else { continue };
            taken.extend(items.pop_front());
            if items.is_empty() {
                self.accounts.remove(&account);
            } else {
                self.turns.push_back(account);
            }
        }
        self.items -= taken.len();
        taken
    }
}
