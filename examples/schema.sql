create table orders (id serial primary key, item text not null);
create table invoices (id serial primary key, order_id int not null references orders);
create table shipments (order_id int primary key references orders);
