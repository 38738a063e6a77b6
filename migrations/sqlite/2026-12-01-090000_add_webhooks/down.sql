DROP TABLE held_customers;
DROP TABLE webhook_secrets;
DROP TABLE webhooks;
