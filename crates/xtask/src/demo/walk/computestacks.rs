//! ComputeStacks: a package that becomes sellable by its prices, a change of one field, pages, and a
//! deletion.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tonic::Code;
use xtask::configuration::Provider;

use super::{performed, sold, text, title};
use crate::demo::call::Caller;
use crate::demo::stage::{Stage, Upstream};

/// The administrator's credential; the simulator is told it, and no other knows it.
const CREDENTIAL: &str = "demo:demo-password";

pub(crate) const UPSTREAM: Upstream = Upstream {
    id: "computestacks",
    plugin: "libpurveyor_computestacks.so",
    arguments: &["--user", CREDENTIAL],
    provider: |url| {
        let regions = [("fra", 1), ("nyc", 2)];
        let regions = regions.map(|(name, id)| (name.to_owned(), toml::Value::from(id)));
        Provider::new("computestacks", url)
            .credential("api-credential", CREDENTIAL)
            .setting("billing_plan", 1)
            .setting("regions", toml::Table::from_iter(regions))
    },
    worth_trying: (
        r#"{"parent": "providers/computestacks", "view": "LIST_VIEW_FULL"}"#,
        "Products/ListProducts",
    ),
};

/// The walk.
///
/// # Errors
/// The first step that did not do what it should.
pub(crate) async fn walk(stage: &mut Stage, caller: &mut Caller) -> Result<()> {
    let product = create(caller).await?;
    change(caller, &product).await?;
    pages(caller).await?;
    delete(caller, &text(&product, "name")?).await?;
    title("ComputeStacks 5: what was really written into the catalogue");
    sold(
        stage,
        "computestacks",
        &[
            "product_add",
            "billing_resource_add",
            "price_rule_add",
            "price_rule_add",
            "product_update",
            "product_add",
            "product_delete",
        ],
    )
}

/// Makes a package with two prices. Tells it as a read shows it.
async fn create(caller: &mut Caller) -> Result<Value> {
    title("ComputeStacks 1: a package with its prices: one operation of four calls");
    let offer = |currency: &str, units: u32, regions: &[&str]| {
        json!({
            "term": { "kind": "KIND_METERED" },
            "price": { "amount": { "currency_code": currency, "units": units } },
            "regions": regions,
        })
    };
    let request = json!({
        "parent": "providers/computestacks",
        "product": {
            "display_name": "small",
            "package": { "cpu_cores": "2.5", "memory_mb": 1536, "storage_gb": 18, "backup_gb": 35 },
            "offers": [offer("EUR", 5, &["fra"]), offer("USD", 6, &[])],
        },
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6e0001",
        "wait": "5s",
    });
    let operation = performed(caller, "Products.CreateProduct", request).await?;
    let name = &operation["product"]["name"];
    let product = caller.must("Products.GetProduct", json!({ "name": name })).await?;
    let offers = product["offers"].as_array().map_or(0, Vec::len);
    ensure!(offers == 2, "the product is sold at {offers} prices");
    Ok(product)
}

async fn change(caller: &mut Caller, product: &Value) -> Result<()> {
    title("ComputeStacks 2: another memory size, and nothing else is lost");
    let request = json!({
        "product": { "name": product["name"], "package": { "memory_mb": 2048 } },
        "update_mask": { "paths": ["package.memory_mb"] },
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6e0002",
        "wait": "5s",
    });
    let operation = performed(caller, "Products.UpdateProduct", request).await?;
    let changed = &operation["product"];
    // The upstream makes a changed package anew, so its own identifier differs.
    let mut expected = product["package"].clone();
    expected["memoryMb"] = json!("2048");
    expected["upstreamId"] = changed["package"]["upstreamId"].clone();
    ensure!(changed["package"] == expected, "the package is {}", changed["package"]);
    ensure!(changed["offers"] == product["offers"], "the prices are {}", changed["offers"]);
    Ok(())
}

async fn pages(caller: &mut Caller) -> Result<()> {
    title("ComputeStacks 3: a single resource beside it, and all in pages of one");
    let request = json!({
        "parent": "providers/computestacks",
        "product": {
            "display_name": "memory",
            "resource": { "kind": "RESOURCE_KIND_MEMORY", "unit": 256, "unit_type": "MB" },
        },
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6e0003",
        "wait": "5s",
    });
    performed(caller, "Products.CreateProduct", request).await?;
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        let parent = "providers/computestacks";
        let request = json!({ "parent": parent, "page_size": 1, "page_token": token });
        let page = caller.must("Products.ListProducts", request).await?;
        names.push(text(&page["products"][0], "displayName")?);
        match page["nextPageToken"].as_str().filter(|token| !token.is_empty()) {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    ensure!(names == ["old", "small", "memory"], "the pages have {names:?}");
    Ok(())
}

async fn delete(caller: &mut Caller, product: &str) -> Result<()> {
    title("ComputeStacks 4: taking the package out of the catalogue");
    let request = json!({
        "name": product,
        "request_id": "5f0a1b52-6d0c-4a43-9d0e-0f8f3c6e0004",
        "wait": "5s",
    });
    performed(caller, "Products.DeleteProduct", request).await?;
    let gone = caller.call("Products.GetProduct", json!({ "name": product })).await?;
    let code = gone.err().map(|status| status.code());
    ensure!(code == Some(Code::NotFound), "the deleted product answers {code:?}");
    Ok(())
}
