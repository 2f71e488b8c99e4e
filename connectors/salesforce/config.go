package salesforce

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"time"

	"crmsync/connectors"
	"crmsync/connectors/rest"
)

//go:embed example.yaml
var example string

// Config is an instance's settings. Names of fields are API names, as in
// Setup > Object Manager.
type Config struct {
	// InstanceURL is the organisation's address, such as
	// https://acme.my.salesforce.com; empty: the one that came with the sign-in.
	InstanceURL string `yaml:"instance_url"`
	// Token is an access token (session id), for a trial: it ends within hours.
	Token connectors.Secret `yaml:"token"`
	// APIVersion is the version of the REST API, such as v61.0.
	APIVersion string `yaml:"api_version"`
	// TimeZone decides on which day a text stands, since a Task has no time.
	TimeZone string `yaml:"time_zone"`
	// DailyRequests is the organisation's limit on requests in 24 hours.
	DailyRequests int `yaml:"daily_requests"`
	// Leads says whether texts are put on leads, too.
	Leads bool `yaml:"leads"`
	// NumbersPerSearch is how many numbers one search asks for.
	NumbersPerSearch int `yaml:"numbers_per_search"`
	// ContactPhones and LeadPhones are the fields that hold a person's numbers.
	// The first is where a new one gets its number.
	ContactPhones []string `yaml:"contact_phones"`
	LeadPhones    []string `yaml:"lead_phones"`
	// Company is that of a new lead, which must have one.
	Company string `yaml:"company"`

	// Unique says that the key's field is unique.
	Unique bool `yaml:"unique"`
	// TaskStatus is a closed value of Task.Status, TaskType a value of Task.Type;
	// empty leaves it to the organisation's default.
	TaskStatus string `yaml:"task_status"`
	TaskType   string `yaml:"task_type"`
	Fields     Fields `yaml:"fields"`
}

// Fields names the custom fields; one that is empty is not used.
type Fields struct {
	// Key, Direction, At (when), Status and Reason (why a text failed) are on
	// Activity. Without the first three there are no texts.
	Key       string `yaml:"key"`
	Direction string `yaml:"direction"`
	At        string `yaml:"at"`
	Status    string `yaml:"status"`
	Reason    string `yaml:"reason"`
	// OptOut, a checkbox, and OptOutAt are on Contact and Lead.
	OptOut   string `yaml:"opt_out"`
	OptOutAt string `yaml:"opt_out_at"`
}

func defaults() Config {
	return Config{
		APIVersion: "v61.0", TimeZone: "UTC", DailyRequests: defaultDailyRequests, Leads: true, NumbersPerSearch: 75, Unique: true,
		// A contact's AssistantPhone is another person's, and nobody texts to a fax.
		ContactPhones: []string{"MobilePhone", "Phone", "HomePhone", "OtherPhone"},
		LeadPhones:    []string{"MobilePhone", "Phone"},
		Company:       "[not provided]", // as Salesforce itself writes where a form has none
		TaskStatus:    "Completed",
		Fields: Fields{
			Key: "JustCall_Message_Id__c", Direction: "JustCall_Direction__c", At: "JustCall_Time__c",
			Status: "JustCall_Status__c", Reason: "JustCall_Reason__c",
			OptOut: "SMS_Opt_Out__c", OptOutAt: "SMS_Opt_Out_Time__c",
		},
	}
}

var (
	version   = regexp.MustCompile(`^v[0-9]{2,3}\.0$`)
	fieldName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,79}$`)
)

// Validate reports what keeps the settings from being used. It does no I/O.
func (c Config) Validate() error {
	var errs []error
	if c.InstanceURL != "" || c.Token != "" {
		if err := rest.CheckBase(c.InstanceURL); err != nil {
			errs = append(errs, fmt.Errorf("instance_url %w", err))
		}
	}
	if !version.MatchString(c.APIVersion) {
		errs = append(errs, errors.New("api_version must be like v61.0"))
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "" {
		errs = append(errs, errors.New("time_zone must be like America/New_York"))
	}
	if c.DailyRequests < 1 || c.NumbersPerSearch < 1 {
		errs = append(errs, errors.New("daily_requests and numbers_per_search must be above 0"))
	}
	if c.Leads && c.Company == "" {
		errs = append(errs, errors.New("company is missing: a lead must have one"))
	}
	return errors.Join(append(errs, c.validateFields())...)
}

// class is what a repeated put does.
func (c Config) class() connectors.Class {
	if c.Unique {
		return connectors.ClassC
	}
	return connectors.ClassD
}

func (c Config) validateFields() error {
	var errs []error
	check := func(setting, name string, optional bool) {
		if !fieldName.MatchString(name) && (name != "" || !optional) {
			errs = append(errs, fmt.Errorf("%s must be the API name of a field", setting))
		}
	}
	check("fields.key", c.Fields.Key, false)
	check("fields.direction", c.Fields.Direction, false)
	check("fields.at", c.Fields.At, false)
	check("fields.status", c.Fields.Status, true)
	check("fields.reason", c.Fields.Reason, true)
	check("fields.opt_out", c.Fields.OptOut, true)
	check("fields.opt_out_at", c.Fields.OptOutAt, true)
	for setting, names := range map[string][]string{"contact_phones": c.ContactPhones, "lead_phones": c.LeadPhones} {
		if len(names) == 0 {
			errs = append(errs, fmt.Errorf("%s is empty", setting))
		}
		for _, name := range names {
			check(setting, name, false)
		}
	}
	return errors.Join(errs...)
}

// phones are the fields of an object that hold numbers.
func (c Config) phones(object string) []string {
	if object == lead {
		return c.LeadPhones
	}
	return c.ContactPhones
}

// zone is the one that Validate has loaded.
func (c Config) zone() *time.Location {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}
