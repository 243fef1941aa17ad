//! Versions that the codec does not know: frames made by hand, answers compared byte by byte.

use uuid::Uuid;

use crate::pair::Pair;

/// An id that no topic has.
const NOBODYS: Uuid = Uuid::from_bytes([7; 16]);

/// A topic by its id, and partitions of it.
type Topic<'a> = (Uuid, &'a [i32]);

pub fn versions(pair: &mut Pair) -> Result<(), String> {
    let name = pair.topic("newest", 2)?;
    let ids = pair.id_of(&name)?;
    let group = pair.name("newest");
    let coordinator = pair.coordinator(&group)?;
    pair.go(coordinator);
    let mut ask = |key, version, body: &dyn Fn(Body, Uuid) -> Body| {
        pair.ask_frames(&ids.map(|id| body(Body::of(key, version), *id).0), Some(&ids))
    };

    let offset_commit = |body: Body, topics: &[Topic<'_>]| {
        let body = body.text(&group).int(-1).text("").byte(0);
        let topic = |body: Body, (id, partitions): &Topic<'_>| {
            body.id(*id)
                .array(partitions, |body, n| body.int(*n).long(5).int(-1).text("note").byte(0))
                .byte(0)
        };
        body.array(topics, topic).byte(0)
    };
    ask(8, 10, &|body, id| offset_commit(body, &[(id, &[0])]))?;
    ask(8, 10, &|body, id| {
        let nowhere: Topic<'_> = (Uuid::nil(), &[0]);
        offset_commit(body, &[(NOBODYS, &[0, 3]), (id, &[1, 9]), nowhere, (id, &[]), (NOBODYS, &[])])
    })?;
    ask(8, 10, &|body, _| offset_commit(body, &[]))?;
    // Bytes behind the end.
    ask(8, 10, &|body, id| offset_commit(body, &[(id, &[0])]).byte(1).byte(2))?;

    let offset_fetch = |body: Body, groups: &[(&str, Option<&[Topic<'_>]>)]| {
        let topic = |body: Body, (id, partitions): &Topic<'_>| {
            body.id(*id).array(partitions, |body, n| body.int(*n)).byte(0)
        };
        let body = body.array(groups, |body, (group, topics)| {
            let body = body.text(group).byte(0).int(-1);
            let body = match topics {
                Some(topics) => body.array(topics, topic),
                None => body.byte(0),
            };
            body.byte(0)
        });
        body.byte(1).byte(0)
    };
    ask(9, 10, &|body, id| offset_fetch(body, &[(&group, Some(&[(NOBODYS, &[0, 1]), (id, &[0, 1, 7])]))]))?;
    ask(9, 10, &|body, id| {
        let other: &[Topic<'_>] = &[(NOBODYS, &[0]), (id, &[0])];
        offset_fetch(body, &[(&group, Some(&[(NOBODYS, &[0])])), ("none", Some(other))])
    })?;
    ask(9, 10, &|body, _| offset_fetch(body, &[(&group, None)]))?;

    for (version, time) in [(11, -6), (11, -7), (11, -1), (10, -6)] {
        ask(2, version, &|body, _| {
            let body = body.int(-1).byte(0).byte(2).text(&name);
            let body = body.array(&[time], |body, time| body.int(0).int(-1).long(*time).byte(0));
            body.byte(0).int(1000).byte(0)
        })?;
    }

    let marker = |body: Body| {
        let body = body.byte(2).long(4711).byte(0).byte(3).byte(1);
        body.byte(2).text(&name).array(&[0], |body, n| body.int(*n)).byte(0).int(0)
    };
    ask(27, 2, &|body, _| marker(body).byte(2).byte(0).byte(0))?;
    ask(27, 1, &|body, _| marker(body).byte(0).byte(0))
}

/// A request, as far as it is written. Lengths are compact, and a 0 ends every struct.
struct Body(Vec<u8>);

impl Body {
    fn of(key: i16, version: i16) -> Self {
        let header = [key.to_be_bytes(), version.to_be_bytes(), [0, 0], [0, 7], [0, 1], [b'x', 0]];
        Self(header.concat())
    }

    fn byte(self, byte: u8) -> Self {
        self.bytes(&[byte])
    }

    fn int(self, number: i32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn long(self, number: i64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn id(self, id: Uuid) -> Self {
        self.bytes(id.as_bytes())
    }

    fn text(self, text: &str) -> Self {
        self.count(text.len()).bytes(text.as_bytes())
    }

    fn array<T>(self, items: &[T], one: impl Fn(Self, &T) -> Self) -> Self {
        items.iter().fold(self.count(items.len()), one)
    }

    fn count(self, items: usize) -> Self {
        self.byte(u8::try_from(items + 1).expect("few"))
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}
