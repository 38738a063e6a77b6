// Package generated runs a client that openapi-generator made into the folder `customers`, with package signing below it.
package generated

import (
	"context"
	"net/http"
	"os"
	"testing"

	"example.org/customers-generated/customers"
	"example.org/customers-signing"
)

func client(t *testing.T, url string) *customers.CustomersAPIService {
	signer, err := signing.FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	settings := customers.NewConfiguration()
	settings.Servers = customers.ServerConfigurations{{URL: url}}
	settings.HTTPClient = &http.Client{Transport: &signing.Transport{Signer: signer}}
	return customers.NewAPIClient(settings).CustomersAPI
}

func expect(t *testing.T, status int, answer *http.Response, err error) {
	t.Helper()
	if answer == nil || answer.StatusCode != status {
		t.Fatalf("%v instead of %d: %v", answer, status, err)
	}
}

func input() customers.CustomerInput {
	return customers.CustomerInput{
		FullName:    customers.FullName{FirstName: "Zoë", LastName: "Muster"},
		DateOfBirth: "1990-01-31",
		Identities:  []customers.CustomerIdentity{},
		PrimaryResidence: customers.StreetAddress{
			Street: "Musterstrasse 1", City: "Musterstadt", PostCode: "1", State: "Berlin", Country: "DE",
		},
	}
}

func TestAGeneratedClientSigns(t *testing.T) {
	background, one := context.Background(), "generated go +&%/Zoë?"
	mine, theirs := client(t, os.Getenv("CUSTOMERS_URL")), client(t, os.Getenv("CUSTOMERS_URL"))
	answer, err := mine.PutCustomer(background, one).CustomerInput(input()).Execute()
	expect(t, 201, answer, err)
	customer, answer, err := theirs.GetCustomer(background, one).Execute()
	expect(t, 200, answer, err)
	if customer.CustomerID != one || customer.FullName.FirstName != "Zoë" {
		t.Fatal(customer)
	}
	answer, err = theirs.PutCustomer(background, one).CustomerInput(input()).Execute()
	expect(t, 204, answer, err)
	answer, err = mine.PutCustomer(background, one).CustomerInput(input()).Execute()
	expect(t, 412, answer, err)
	_, answer, err = mine.ListCustomers(background).PageSize(100).SortDirection("ASC").Execute()
	expect(t, 200, answer, err)
	answer, err = theirs.DeleteCustomer(background, one).Execute()
	expect(t, 204, answer, err)
}

func TestAGeneratedClientAsksAgainForALostAnswer(t *testing.T) {
	lossy := client(t, os.Getenv("LOSSY_URL"))
	answer, err := lossy.PutCustomer(context.Background(), "go-generated-lost").CustomerInput(input()).Execute()
	expect(t, 201, answer, err)
	answer, err = lossy.DeleteCustomer(context.Background(), "go-generated-lost").Execute()
	expect(t, 204, answer, err)
}
