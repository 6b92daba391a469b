// The function app: Flex Consumption, a custom handler, and its settings.

@description('Name of the app.')
param name string

@description('Name of the plan.')
param planName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource ID of the app\'s identity.')
param identityId string

@description('Client ID of the app\'s identity.')
param identityClientId string

@description('Name of the work storage account.')
param workAccount string

@description('Blob endpoint of the work storage account.')
param workBlobEndpoint string

@description('Container of records, plans, reports and packages.')
param workContainer string

@description('Container of the package that is deployed.')
param deploymentContainer string

@description('Name of the archive account.')
param archiveAccount string

@description('Container of the archive.')
param archiveContainer string

@description('How App Center is told to export.')
param exportType string

@description('Days that a package is kept after completion.')
param packageDays int

@description('Address of the vault, with a slash at its end.')
param vaultUri string

@description('Name of the secret that is the App Center token.')
param tokenName string

@description('Name of the secret that is the connection string of a custom export.')
param connectionName string

@description('Whether finished days of the archive get an index.')
param archiveIndex bool

@description('Name of the secret that is the key of the index.')
param indexKeyName string

@description('Connection string of the ledger\'s database; empty without one.')
param ledgerDatabase string

@description('Connection string of Application Insights: an address, no secret, since it takes tokens only.')
param insightsConnectionString string

@description('Further app settings; they win over the defaults of this file, and give way to what is fixed in it.')
param settings object

@description('Origins of web pages that may call the app.')
param corsOrigins array

@description('Address ranges that may call the app; empty means all.')
param allowedAddresses array

@description('Subnet through which the app calls others; empty without a network.')
param subnetId string

@description('Memory of an instance in MB: 512, 2048 or 4096.')
param instanceMemory int

@description('Most instances at once.')
param maximumInstances int

@description('Log Analytics workspace of the diagnostic settings.')
param workspaceId string

// Every name that the handler reads stands in src/config/env.rs (a test compares them).

// What a resource or a rule of these templates stands for: `settings` cannot name another container, vault or number of
// days than the one that is made, opened or counted here.
var fixedSettings = {
  APPCENTER_API_TOKEN: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/${tokenName})'
  AzureWebJobsStorage__accountName: workAccount
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__credential: 'managedidentity'
  ARCHIVE_STORAGE__accountName: archiveAccount
  ARCHIVE_STORAGE__clientId: identityClientId
  ARCHIVE_CONTAINER: archiveContainer
  EXPORT_TYPE: exportType
  EXPORT_CONNECTION_STRING: exportType == 'custom' ? '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/${connectionName})' : ''
  INDEX_KEY: archiveIndex ? '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/${indexKeyName})' : ''
  RETENTION_PACKAGE_DAYS: string(packageDays)
  WORK_CONTAINER: workContainer
}

// What `settings` may say otherwise.
var usualSettings = {
  EXPORT_SUBSCRIPTION_ID: exportType == 'standard' ? subscription().subscriptionId : ''
  LEDGER_DATABASE: ledgerDatabase
  APPCENTER_PATH: empty(ledgerDatabase) ? 'blob' : 'auto'
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
}

// The last one wins.
var settingList = [for setting in items(union(usualSettings, settings, fixedSettings)): {
  name: setting.key
  value: setting.value
}]

var addressRules = [for (address, index) in allowedAddresses: {
  name: 'allowed-${index}'
  action: 'Allow'
  ipAddress: address
  priority: 100 + index
}]

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  // checkov:skip=CKV_AZURE_225: Not every region has zones for this plan; work that a zone takes down goes on in another instance.
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  // checkov:skip=CKV_AZURE_17: Callers are forms and other systems without certificates; each function has a key.
  // checkov:skip=CKV_AZURE_212: It scales to zero: nothing is lost while no instance runs, and queues start one.
  // checkov:skip=CKV_AZURE_213: The plan has no health check; the host watches the handler, and an alert fires when sweep is not seen.
  // checkov:skip=CKV_AZURE_222: Requests are filed from outside; allowedAddresses restricts who may.
  name: name
  location: location
  // By this tag azd finds the app that it deploys to.
  tags: union(tags, {
    'azd-service-name': 'handler'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientCertEnabled: false
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    // Whose token reads the secrets that settings refer to.
    keyVaultReferenceIdentity: identityId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${workBlobEndpoint}${deploymentContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maximumInstances
      }
    }
    siteConfig: {
      appSettings: settingList
      ftpsState: 'Disabled'
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      // The platform answers a browser's preflight; it never reaches the handler.
      cors: {
        allowedOrigins: corsOrigins
        supportCredentials: false
      }
      ipSecurityRestrictionsDefaultAction: empty(allowedAddresses) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: addressRules
    }
  }
}

// No user names and passwords for deployment: publishing takes a token of Entra ID.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

// Its log goes to Application Insights; here only what it costs and how it fares.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

output name string = app.name
output address string = 'https://${app.properties.defaultHostName}'
