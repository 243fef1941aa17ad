//! A stand-in for the attribute that the redis crate's tests use and its package does not bring: each test of
//! an async function becomes a test on tokio, one per kind of connection or truth value it asks for.

use proc_macro::{Delimiter, TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn async_test(_: TokenStream, item: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = item.clone().into_iter().collect();
    let is_word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.to_string() == word);
    let start = (0..tokens.len()).find(|at| is_word(*at, "fn")).expect("an async function");
    let name = tokens[start + 1].to_string();
    let is_list = |token: &&TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis);
    let arguments = tokens[start..].iter().find(is_list).expect("arguments").to_string();
    let before = (0..start).find(|at| is_word(*at, "async")).unwrap_or(0);
    let attributes: TokenStream = tokens[..before].iter().cloned().collect();
    let run = |suffix: &str, body: &str| {
        format!(
            "{attributes} #[test] fn run_{name}{suffix}() {{ block_on_all(async move {{ {body} }}, RuntimeType::Tokio); }}"
        )
    };
    let tests = if arguments.contains("bool") {
        run("_true", &format!("{name}(true).await")) + &run("_false", &format!("{name}(false).await"))
    } else if arguments.contains("impl") {
        let multiplexed = "let ctx = TestContext::new(); let con = ctx.async_connection().await.unwrap();";
        let manager = "let ctx = TestContext::new(); let con = ctx.client.get_connection_manager().await.unwrap();";
        run("_multiplexed", &format!("{multiplexed} {name}(con).await"))
            + &run("_manager", &format!("{manager} {name}(con).await"))
    } else {
        run("", &format!("{name}().await"))
    };
    let tests: TokenStream = tests.parse().expect("tests are Rust");
    item.into_iter().chain(tests).collect()
}
