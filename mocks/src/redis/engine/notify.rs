//! Keyspace notifications: what happened to a key, told to whoever subscribed, as `notify.c` of Redis 7.0.
//!
//! Commands say what they did with [`Call::notify`]; whether anyone hears of it is decided here, by
//! `notify-keyspace-events`.

use bytes::Bytes;

use super::Engine;
use super::call::Call;
use super::collection::Collection;

/// A class of events, as a bit.
pub(crate) type Class = u32;

macro_rules! classes {
    ($($name:ident $letter:literal $bit:literal),* $(,)?) => {
        $(#[doc = concat!("`", $letter, "`")] pub(crate) const $name: Class = 1 << $bit;)*
        const LETTERS: &[(Class, char)] = &[$(($name, $letter)),*];
    };
}

classes! {
    GENERIC 'g' 2,
    STRING '$' 3,
    LIST 'l' 4,
    SET 's' 5,
    HASH 'h' 6,
    ZSET 'z' 7,
    EXPIRED 'x' 8,
    EVICTED 'e' 9,
    STREAM 't' 10,
    MODULE 'd' 13,
    NEW_KEY 'n' 14,
    KEYSPACE 'K' 0,
    KEYEVENT 'E' 1,
    KEY_MISS 'm' 11,
}

/// What `A` stands for: everything but misses and new keys.
const ALL: Class = GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE;

/// The classes that letters name; `None` if one names none.
pub(super) fn parse(letters: &str) -> Option<Class> {
    letters.chars().try_fold(0, |classes, letter| {
        let one = if letter == 'A' {
            ALL
        } else {
            LETTERS.iter().find(|(_, known)| *known == letter).map(|(class, _)| *class)?
        };
        Some(classes | one)
    })
}

/// The letters for classes, in the order in which the server reports them.
pub(super) fn letters(classes: Class) -> String {
    let all = classes & ALL == ALL;
    // The server leaves out `n` when it writes `A`, though `A` does not hold it.
    let hidden = if all { ALL | NEW_KEY } else { 0 };
    let listed = LETTERS.iter().filter(|(class, _)| classes & class & !hidden != 0);
    let listed = listed.map(|(_, letter)| *letter);
    all.then_some('A').into_iter().chain(listed).collect()
}

impl Call<'_> {
    /// Tells that something happened to a key of the client's database.
    pub(crate) fn notify(&mut self, class: Class, event: &'static str, key: &Bytes) {
        if self.engine.config.events & class != 0 {
            let db = self.db();
            self.engine.notify(class, event, db, key);
        }
    }
}

impl Call<'_> {
    /// Tells that a collection was changed, and that it is gone if the change emptied it.
    pub(crate) fn notify_change(&mut self, class: Class, event: &'static str, key: &Bytes) {
        if self.engine.config.events == 0 {
            return;
        }
        self.notify(class, event, key);
        if self.engine.store.db(self.db()).get(key).is_none() {
            self.notify(GENERIC, "del", key);
        }
    }

    /// Sets a key to a collection and tells so, or removes it if the collection is empty, and tells if there was
    /// one.
    pub(crate) fn store_and_notify<C: Collection>(
        &mut self,
        key: &Bytes,
        collection: C,
        class: Class,
        event: &'static str,
    ) {
        if !collection.is_empty() {
            self.store_as(key, collection);
            self.answers_first();
            self.notify(class, event, key);
        } else if self.delete(key) {
            self.notify(GENERIC, "del", key);
        }
    }
}

impl Engine {
    /// Tells that something happened to a key.
    pub(crate) fn notify(&mut self, class: Class, event: &'static str, db: usize, key: &Bytes) {
        let wanted = self.config.events;
        if wanted & class == 0 || !self.pubsub.has_listeners() {
            return;
        }
        if wanted & KEYSPACE != 0 {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(&Bytes::from(channel), &Bytes::from_static(event.as_bytes()));
        }
        if wanted & KEYEVENT != 0 {
            let channel = format!("__keyevent@{db}__:{event}");
            self.publish(&Bytes::from(channel), key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_name_classes_and_all_is_one_letter() {
        let roundtrip = |text| parse(text).map(letters);
        assert_eq!(roundtrip("KEA").as_deref(), Some("AKE"));
        assert_eq!(roundtrip("Kx$").as_deref(), Some("$xK"));
        assert_eq!(roundtrip("g$lshzxetdnKm").as_deref(), Some("AKm"));
        assert_eq!(roundtrip("KQ"), None);
    }
}
