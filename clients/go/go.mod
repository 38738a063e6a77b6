module example.org/customers-signing

go 1.19
