//! What a failover loses, of collections: the last commands that changed something, and nothing else.

use proptest::prelude::*;

use super::*;
use crate::redis::store::Entry;

const COMMANDS: &[&str] = &[
    "sadd K M 1",
    "srem K M",
    "spop K",
    "spop K 2",
    "smove K L M",
    "sunionstore K K L",
    "rpush K M M",
    "lpush K M",
    "lpop K 2",
    "lset K 0 M",
    "lrem K 1 M",
    "ltrim K 1 2",
    "linsert K after M x",
    "lmove K L left right",
    "lmpop 2 K L right count 2",
    "zadd K 1 M 2 x",
    "zincrby K 3 M",
    "zrem K M",
    "zpopmax K",
    "zremrangebyrank K 0 0",
    "zunionstore K 2 K L",
    "zrangestore K L 0 1",
    "hset K M x",
    "hdel K M",
    "del K",
    "rename K L",
    "copy K L replace",
    "expire K 100",
];

fn image(engine: &Engine) -> Vec<(Blob, Entry)> {
    let mut all: Vec<_> =
        engine.store().db(0).iter().map(|(key, entry)| (key.clone(), entry.clone())).collect();
    // Reading a key marks its use, which is no write.
    all.iter_mut().for_each(|(_, entry)| entry.used_ms = 0);
    all.sort_by(|left, right| left.0.cmp(&right.0));
    all
}

proptest! {
    #[test]
    fn a_failover_brings_back_collections_as_they_were(
        steps in prop::collection::vec((0..COMMANDS.len(), 0_usize..3, 0_usize..3, 0_usize..3), 1..80),
        lost in 0_usize..40,
    ) {
        let at = Moment::default();
        let mut engine = Engine::new(Setup {
            seed: 1,
            expiry: Expiry::Exact,
            password: None,
            horizon: Horizon::default(),
            databases: 1,
            script_instructions: 1000,
        }, at);
        let client = engine.connect("127.0.0.1:1".to_owned(), at);
        let mut images = vec![image(&engine)];
        for (command, key, other, member) in steps {
            let dirty = engine.store().dirty();
            let words = COMMANDS[command].split(' ').map(|word| match word {
                "K" => ["a", "b", "c"][key],
                "L" => ["a", "b", "c"][other],
                "M" => ["1", "2", "m"][member],
                word => word,
            });
            let before = image(&engine);
            engine.exec(client, words.map(|word| Bytes::from_static(word.as_bytes())).collect(), at);
            if engine.store().dirty() > dirty {
                images.push(image(&engine));
            } else {
                prop_assert_eq!(before, image(&engine));
            }
        }
        let lost = lost.min(images.len() - 1);
        prop_assert_eq!(engine.failover(Lose::LastWrites(lost), at), lost);
        prop_assert_eq!(image(&engine), images[images.len() - 1 - lost].clone());
    }
}
