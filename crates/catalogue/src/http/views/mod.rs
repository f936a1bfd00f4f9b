//! What the routes answer.

mod buyers;
mod staff;

pub use buyers::{
    BrandView, CategoryAttributeView, CategoryDetailView, CategoryRef, CategoryView, LocalView,
    PictureFileView, PictureView, ProductAttributeView, ProductView, SkuView,
};
pub use staff::{
    AdminAttributeView, AdminBrandView, AdminCategoryView, AdminProductLine, AdminProductView, ChangeView,
    PriceStatus, PriceView,
};
