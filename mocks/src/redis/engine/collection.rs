//! Collections as commands see them: looked up by type, changed in place, gone when they are empty.
//!
//! A change goes through the store, so that it is counted. Commands call
//! [`Call::change`] only for what does change something: it breaks watches whatever the closure does.

use std::sync::Arc;

use bytes::Bytes;

use super::call::Call;
use super::error::CmdError;
use crate::redis::store::{Hash, List, Set, Value, Zset};

/// A type of value that holds elements and is never empty in the store.
pub(crate) trait Collection: Clone + Default {
    /// The collection in a value of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The collection in a value of this type, shared.
    fn shared(value: &Value) -> Option<Arc<Self>>;
    /// The collection in a value of this type, its own copy.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// The collection as a value.
    fn into_value(self) -> Value;
    /// Whether there is no element.
    fn is_empty(&self) -> bool;
}

macro_rules! collections {
    ($($name:ident),*) => {$(
        impl Collection for $name {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$name(found) = value { Some(found) } else { None }
            }

            fn shared(value: &Value) -> Option<Arc<Self>> {
                if let Value::$name(found) = value { Some(Arc::clone(found)) } else { None }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$name(found) = value { Some(Arc::make_mut(found)) } else { None }
            }

            fn into_value(self) -> Value {
                Value::$name(Arc::new(self))
            }

            fn is_empty(&self) -> bool {
                self.is_empty()
            }
        }
    )*};
}

collections!(Hash, List, Set, Zset);

impl Call<'_> {
    /// A collection to be read: counts a hit or a miss.
    pub(crate) fn read_as<C: Collection>(&mut self, key: &Bytes) -> Result<Option<&C>, CmdError> {
        self.read(key).map(|entry| C::of(&entry.value).ok_or(CmdError::WRONG_TYPE)).transpose()
    }

    /// A collection to be read beside others: what it holds now, whatever happens to the key.
    pub(crate) fn share_as<C: Collection>(&mut self, key: &Bytes) -> Result<Option<Arc<C>>, CmdError> {
        self.read(key).map(|entry| C::shared(&entry.value).ok_or(CmdError::WRONG_TYPE)).transpose()
    }

    /// A collection to be written, or only to be looked at.
    pub(crate) fn look_as<C: Collection>(&mut self, key: &Bytes) -> Result<Option<&C>, CmdError> {
        self.look(key).map(|entry| C::of(&entry.value).ok_or(CmdError::WRONG_TYPE)).transpose()
    }

    /// Changes a collection, made if there is none, removed if it is left empty.
    pub(crate) fn change<C: Collection, T>(
        &mut self,
        key: &Bytes,
        change: impl FnOnce(&mut C) -> T,
    ) -> Result<T, CmdError> {
        if self.look_as::<C>(key)?.is_none() {
            let mut made = C::default();
            let result = change(&mut made);
            if !made.is_empty() {
                self.put(key, made.into_value(), None);
            }
            return Ok(result);
        }
        let found = self.edit(key).and_then(C::of_mut).ok_or(CmdError::WRONG_TYPE)?;
        let result = change(found);
        if found.is_empty() {
            self.delete(key);
        }
        Ok(result)
    }

    /// Sets a key to a collection without deadline, or removes it if the collection is empty.
    pub(crate) fn store_as<C: Collection>(&mut self, key: &Bytes, collection: C) {
        if collection.is_empty() {
            self.delete(key);
        } else {
            self.put(key, collection.into_value(), None);
        }
    }
}
